"""The rows that cost something on a machine like that, and the table in the help."""

from __future__ import annotations

from pathlib import Path

import pytest

from hud.commands import help as topics
from hud.commands import needs
from hud.kernel.denied import Privileges

ALL = (1 << 41) - 1
FREE = needs.Here(Privileges(True, ALL, "none", False, False, (6, 1), -1), 0, 0, False)
ADMIN, BPF, PERFMON, SYSLOG = 1 << 21, 1 << 39, 1 << 38, 1 << 34
FILES, ALL_FILES, CHECKPOINT = 1 << 2, 1 << 1, 1 << 40


def without(bits: int, root: bool = True, **settings: object) -> needs.Here:
    now = FREE.now
    held = Privileges(root, ALL & ~bits, now.lockdown, False, False, now.release, -1)
    return FREE._replace(now=held, **settings)


@pytest.mark.parametrize(
    ("here", "rows"),
    [
        (FREE, []),
        (without(BPF | PERFMON | CHECKPOINT | FILES), []),
        (without(BPF | PERFMON | ADMIN), ["CAP_BPF", "CAP_PERFMON"]),
        (without(1 << 19), ["CAP_SYS_PTRACE"]),
        (without(FILES | ALL_FILES), ["CAP_DAC_READ_SEARCH"]),
        (without(1 << 6), ["CAP_SETUID, CAP_SETGID"]),
        (without(1 << 7), ["CAP_SETUID, CAP_SETGID"]),
        (without(1 << 6 | 1 << 7, root=False), []),
        (without(CHECKPOINT | ADMIN), ["CAP_CHECKPOINT_RESTORE"]),
        (without(SYSLOG), []),
        (without(SYSLOG, kptr_restrict=1), ["CAP_SYSLOG"]),
        (without(0, kptr_restrict=1), []),
        (without(0, kptr_restrict=2), ["kptr_restrict = 2"]),
        (without(0, ptrace_scope=2), []),
        (without(0, ptrace_scope=3), ["yama ptrace_scope = 3"]),
        (without(0, own_network=True), ["a network namespace"]),
    ],
)
def test_rows_that_cost_something(here: needs.Here, rows: list[str]) -> None:
    assert [need.name for need in needs.missing(here)] == rows


def test_what_is_in_the_way_has_a_remedy() -> None:
    nothing = Privileges(True, 0, "confidentiality", True, True, (6, 1), 0)
    worst = needs.Here(nothing, 1, 3, True)
    found = [*needs.missing(worst), *needs.missing(worst._replace(kptr_restrict=2))]
    assert all(need.remedy for need in found)
    assert {need.name for need in needs.TABLE if need.remedy} == {need.name for need in found}
    assert all(need in found for need in needs.TABLE if need.stops)


def test_the_settings_are_read_from_files(tmp_path: Path) -> None:
    kernel = tmp_path / "proc/sys/kernel"
    (kernel / "yama").mkdir(parents=True)
    (kernel / "kptr_restrict").write_text("1\n")
    (kernel / "yama/ptrace_scope").write_text("3\n")
    for process, number in (("self", 5), ("1", 4)):
        (tmp_path / f"proc/{process}/ns").mkdir(parents=True)
        (tmp_path / f"proc/{process}/ns/net").symlink_to(f"net:[{number}]")
    found = needs.here(tmp_path)
    assert (found.kptr_restrict, found.ptrace_scope, found.own_network) == (1, 3, True)
    blank = needs.here(tmp_path / "nowhere")
    assert (blank.kptr_restrict, blank.ptrace_scope, blank.own_network) == (0, 0, False)


def test_the_help_has_the_table() -> None:
    table = "".join(f"    {line}\n" for line in needs.in_words().splitlines())
    assert f"\n\n{table}\n" in topics.text("security")
