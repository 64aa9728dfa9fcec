"""Composes probe, target, runtime and symbols into one stream of samples about one process."""

from hud.profiler.options import Options
from hud.profiler.profiler import Profiler

__all__ = ["Options", "Profiler"]
