"""Runs on disk: a recording file holds all batches of a run, so that they can be replayed."""
