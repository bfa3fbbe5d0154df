"""One self-contained HTML page of all results: tables, curves, profiles, films, origins."""
