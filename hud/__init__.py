"""hud: which code blocks the workers of a running Tokio service, for how long and why."""

__version__ = "0.1.0"
