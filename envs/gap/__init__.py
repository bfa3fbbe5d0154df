"""One task, two physics: environments whose dynamics differ in a known way (``h2o.md`` 4, 7)."""
