"""Tasks with a single reward at the end of a long way: what exploration alone can solve."""
