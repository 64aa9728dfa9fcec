"""System calls by number and name."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.analysis.episodes.syscalls import CALLS, LIKELY, SURE, machine_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("header", "machine"),
    [
        ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "x86_64"),
        ("/usr/include/asm-generic/unistd.h", "aarch64"),
    ],
)
def test_numbers_are_those_of_the_kernel(
    header: str, machine: str, need: Callable[[object, str], None]
) -> None:
    path = Path(header)
    need(path.exists(), f"{header} (linux-libc-dev)")
    found = re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)$", path.read_text(), re.MULTILINE)
    numbers = {name: int(number) for name, number in found}
    numbers.setdefault("newfstatat", numbers.get("fstatat", -1))  # its name on 64-bit machines
    for number, name in CALLS[machine].items():
        if name not in numbers and number >= 449:
            continue  # headers of older distributions do not have the newest calls
        assert numbers[name] == number, name
    named = set(CALLS[machine].values())
    missing = (
        numbers.keys()
        - named
        - {"syscalls", "arch_specific_syscall", "fstatat", "sync_file_range2"}
    )
    assert not {name for name in missing if numbers[name] <= max(CALLS[machine])}


def test_every_call_in_a_rule_exists_somewhere() -> None:
    known = set(CALLS["x86_64"].values()) | set(CALLS["aarch64"].values())
    assert set(SURE) | set(LIKELY) <= known
    assert not set(SURE) & set(LIKELY)


def test_machine_is_the_recorded_one() -> None:
    assert machine_of("6.18.0 aarch64") == "aarch64"
    assert machine_of("6.18.0") == platform.machine()
