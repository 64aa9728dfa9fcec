"""Errors: one line each, and the exit codes of the documented table."""

from __future__ import annotations

from pathlib import Path

import pytest

from hud import errors

README = Path(__file__).resolve().parents[2] / "README.md"


def test_an_error_is_one_line() -> None:
    error = errors.HudError("read  /a\nb: refused", hint="try again", detail="long\ntext")
    assert str(error) == "read /a b: refused"
    assert (error.hint, error.detail) == ("try again", "long\ntext")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.TargetError, 3),
        (errors.KernelError, 4),
        (errors.ObjectError, 4),
        (errors.FormatError, 4),
        (errors.ExportError, 4),
    ],
)
def test_exit_codes(kind: type[errors.HudError], code: int) -> None:
    assert kind("x").exit_code == code
    table = README.read_text("utf-8").partition("## Exit codes\n")[2]
    assert f"{code} " in table.partition("\n## ")[0]
