"""hud's own kernel program as a Python object: load, configure, events, counters, losses."""
