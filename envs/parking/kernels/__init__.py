"""The simulator's compiled parts: one decision, from contact to reward to observation."""
