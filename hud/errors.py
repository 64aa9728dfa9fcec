"""Every error that hud raises on purpose: one sentence of what and why, and a remedy."""

from __future__ import annotations


class HudError(Exception):
    """An error with a remedy; ``str()`` is always one line.

    ``message`` is a lower-case noun phrase with its cause (``attach sched_switch: permission
    denied``), ``hint`` the remedy, ``detail`` long evidence that only ``--verbose`` prints.
    ``exit_code`` follows the documented table: 2 usage, 3 target not found or gone before anything
    was seen, 4 not permitted or unsupported here.
    """

    exit_code = 4

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return " ".join(self.message.split())


class UsageError(HudError):
    """A wrong command line or option value."""

    exit_code = 2


class TargetError(HudError):
    """The process to look at is absent, ambiguous, gone or not one that can be profiled."""

    exit_code = 3


class KernelError(HudError):
    """The kernel refused: privileges, lockdown, a missing feature, a rejected program."""


class ObjectError(HudError):
    """A BPF object that cannot be read: truncated, hostile, or not what hud was built with."""


class FormatError(HudError):
    """Bytes that others wrote (ELF, DWARF, a recording) and that do not make sense."""


class ExportError(HudError):
    """A result that could not be written."""
