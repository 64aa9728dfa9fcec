"""Runs on disk: a recording file holds all that a run was told, so that it can be told again."""
