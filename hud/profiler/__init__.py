"""Composes probe, target, runtime and symbols into one stream of samples about one process."""

from hud.profiler.run import Batch, Options, Profiler

__all__ = ["Batch", "Options", "Profiler"]
