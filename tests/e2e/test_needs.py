"""Each row of the table of needs is tried: hud without that privilege, or with that setting."""

from __future__ import annotations

import ctypes.util
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import program
import pytest

from hud.commands import needs

pytestmark = pytest.mark.e2e

OWNER = 1000
"""Whose process it is: neither root's nor nobody's."""
FOUR = ("bpf", "perfmon", "sys_ptrace", "dac_read_search")
HELD = (*FOUR, "setuid", "setgid")
"""What root needs of its capabilities for a process of another user."""
SYSCTL = Path("/proc/sys/kernel")
EVERY_POLL = "every long poll seen"


@pytest.fixture(scope="module")
def server(prebuilt_demo: Path, need: Callable[[object, str], None]) -> Iterator[int]:
    """The pid of a demo server of another user."""
    need(shutil.which("setpriv"), "setpriv")
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        binary = Path(shutil.copy(prebuilt_demo, place))
        for path in (place, binary):
            path.chmod(0o755)
        owner = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"]
        (place / "files").mkdir()
        os.chown(place / "files", OWNER, OWNER)
        command = [*owner, binary, "--workers", "2", "--dir", place / "files"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert "listening" in process.stdout.readline()
                yield process.pid
            finally:
                process.kill()


def root_with(*capabilities: str) -> list[str]:
    held = ",".join(f"+{one}" for one in capabilities)
    return ["setpriv", "--bounding-set", f"-all,{held}"]


def root_without(*capabilities: str) -> list[str]:
    return root_with(*(one for one in HELD if one not in capabilities))


def hud(before: list[str], *arguments: object) -> tuple[int, str]:
    """(exit code, all that it said)."""
    command = [*before, *program.COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd="/",
        env=program.environment(),
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert not [word for word in program.CRASHED if word in said], said
    return done.returncode, said


def headless(pid: int) -> list[object]:
    return ["--headless", "--pid", pid, "--duration", 0.1]


@contextmanager
def sysctls(values: Mapping[str, int]) -> Iterator[None]:
    """Of the whole machine, so one test at a time; what was there before comes back."""
    with Path(tempfile.gettempdir(), "hud-sysctls.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {name: (SYSCTL / name).read_text() for name in values}
        try:
            for name, value in values.items():
                (SYSCTL / name).write_text(f"{value}\n")
            yield
        finally:
            for name, value in before.items():
                (SYSCTL / name).write_text(value)


# --------------------------------------------------------------------------- what stops hud


class Stop(NamedTuple):
    """hud started so, ends with exit code 4, says this, and what to do."""

    before: list[str]
    said: str
    remedy: str


STOPS = {
    "CAP_BPF": Stop(root_without("bpf"), "CAP_BPF missing", "grant CAP_BPF"),
    "CAP_PERFMON": Stop(root_without("perfmon"), "CAP_PERFMON missing", "grant CAP_PERFMON"),
    "CAP_SYS_PTRACE": Stop(
        root_without("sys_ptrace"), "reading it is not permitted", "grant CAP_SYS_PTRACE"
    ),
    "CAP_SETUID, CAP_SETGID": Stop(
        root_without("setuid"), "cannot become nobody", "grant CAP_SETUID and CAP_SETGID"
    ),
    "a user namespace": Stop(
        ["unshare", "-Ur"], "reading it is not permitted", "root of a user namespace"
    ),
    "a pid namespace": Stop(
        ["unshare", "-p", "-f"], "it runs in a pid namespace of its own", "--pid=host"
    ),
    "a time namespace": Stop(
        ["unshare", "-T", *root_with(*HELD)], "another clock than the kernel", "nsenter --time="
    ),
    "no /sys": Stop(
        ["unshare", "-m", "sh", "-c", 'umount -R /sys; exec "$@"', "sh"],
        "kernel types (BTF) not found",
        "--btf FILE",
    ),
}


@pytest.mark.parametrize("row", STOPS)
def test_what_stops_hud(row: str, server: int) -> None:
    stop = STOPS[row]
    code, said = hud(stop.before, *headless(server))
    assert stop.said in said
    assert stop.remedy in said
    assert code == 4


def test_root_needs_both_to_change_its_user(server: int) -> None:
    code, said = hud(root_without("setgid"), *headless(server))
    assert "grant CAP_SETUID and CAP_SETGID" in said
    assert code == 4


@pytest.mark.parametrize("row", ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"])
def test_doctor_says_the_row(row: str) -> None:
    need = next(need for need in needs.TABLE if need.name == row)
    code, said = hud(root_without(row.removeprefix("CAP_").lower()), "doctor")
    sign = "FAIL" if need.stops else "note"
    assert f"{sign}  {row}: {need.costs}\n      {need.remedy}\n" in said
    assert code == (4 if need.stops else 0)


# --------------------------------------------------------------------------- what costs something


def test_without_the_right_to_open_others_files_polls_are_not_seen(server: int) -> None:
    """CAP_DAC_READ_SEARCH: exit code 0, and a line that says what to grant."""
    code, said = hud(root_without("dac_read_search"), *headless(server))
    assert "hud: sees CPU samples only: " in said
    why = f"memory of process {server}: permission denied (run as root, or grant CAP_DAC_READ_SEAR"
    assert said.replace("\n  ", " ").count(why) == 2
    assert code == 0


NAMES = "from hud.process.kallsyms import KernelNames; print(KernelNames().reason or 'named')"
HIDDEN = "names of kernel functions are hidden (kernel.kptr_restrict)\n"


def python(before: list[str], code: str, *arguments: object) -> str:
    done = subprocess.run(
        [*before, sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=program.environment(),
        check=False,
    )
    return done.stdout + done.stderr


def test_names_of_kernel_functions() -> None:
    """CAP_SYSLOG, kernel.kptr_restrict."""
    without, granted = root_with(*HELD), root_with(*HELD, "syslog")
    row = "note  kptr_restrict = 2: kernel functions have no names\n"
    with sysctls({"kptr_restrict": 1}):
        assert python(without, NAMES) == HIDDEN
        assert python(granted, NAMES) == "named\n"
        assert "note  CAP_SYSLOG: kptr_restrict = 1" in hud(without, "doctor")[1]
    with sysctls({"kptr_restrict": 2}):
        assert python(granted, NAMES) == HIDDEN
        assert row in hud(granted, "doctor")[1]


LIBRARY = """
import ctypes, os, sys, time
ctypes.CDLL(sys.argv[1])
os.unlink(sys.argv[1])
print("there", flush=True)
time.sleep(60)
"""
OPENED = """
import sys
from hud.errors import HudError
from hud.process.executable import open_mapping
from hud.process.mappings import read_mappings
pid = int(sys.argv[1])
mapping = next(one for one in read_mappings(pid) if one.deleted)
try:
    print("opened", open_mapping(pid, mapping) > 0)
except HudError as error:
    print(error, "|", error.hint)
"""


def test_deleted_libraries(tmp_path: Path) -> None:
    """CAP_CHECKPOINT_RESTORE."""
    found = ctypes.util.find_library("z")
    library = next(Path("/").glob(f"usr/lib*/*/{found}"), None) or Path(f"/usr/lib64/{found}")
    copy = shutil.copy(library, tmp_path / "libcopy.so")
    command = [sys.executable, "-c", LIBRARY, copy]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "there\n"
            without = python(root_with(*HELD), OPENED, process.pid)
            granted = python(root_with(*HELD, "checkpoint_restore"), OPENED, process.pid)
        finally:
            process.kill()
    assert without.startswith(f"{copy}: deleted, and cannot be opened through map_files | ")
    assert without.endswith("grant CAP_CHECKPOINT_RESTORE\n")
    assert granted == "opened True\n"


def test_a_network_namespace(server: int) -> None:
    code, said = hud(["unshare", "-n"], *headless(server))
    assert "thread events from /proc: process connector: " in said
    assert EVERY_POLL in said
    assert code == 0
    assert "note  a network namespace: threads are noticed" in hud(["unshare", "-n"], "doctor")[1]


# --------------------------------------------------------------------------- what costs nothing


HARMLESS = {"perf_event_paranoid": 4, "unprivileged_bpf_disabled": 0}
NAMESPACES = ["unshare", "-m", "-C", "-i", "-u"]
PROC = ["sh", "-c", 'mount -t proc -o hidepid=2,subset=pid proc /proc; exec "$@"', "sh"]


def test_what_costs_nothing(server: int, for_anyone: list[str], tmp_path: Path) -> None:
    """All of it at once, for an ordinary user with four capabilities and no other."""
    four = ",".join(f"+{one}" for one in FOUR)
    held = [f"--inh-caps=-all,{four}", f"--ambient-caps=-all,{four}"]
    setpriv, *rest = for_anyone
    command = [*NAMESPACES, *PROC, setpriv, *held, *rest, *map(str, headless(server))]
    harmless = dict(HARMLESS)
    if (SYSCTL / "unprivileged_bpf_disabled").read_text() == "1\n":  # it stays so until the reboot
        del harmless["unprivileged_bpf_disabled"]
    with sysctls(harmless):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd="/", env=program.environment(), check=False
        )
    assert EVERY_POLL in done.stdout, done.stdout + done.stderr
    assert "CPU samples" not in done.stdout
    assert done.returncode == 0


def test_root_that_may_not_kill_its_child(server: int) -> None:
    """CAP_KILL is among those that cost nothing: the child, of another user, ends by itself."""
    code, said = hud(root_with(*HELD), *headless(server))
    assert EVERY_POLL in said
    assert code == 0
    assert program.within(10, lambda: not children_of_nobody(server))


def children_of_nobody(target: int) -> list[str]:
    """Those of a hud that looks at the target."""
    listed = subprocess.run(["ps", "-u", "65534", "-o", "args="], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if f"--pid {target} " in line]


ELSEWHERE = {"yama ptrace_scope = 3", "lockdown=confidentiality"}
"""Not tried by a test: they need a kernel with Yama and with lockdown, and a boot for each."""
TRIED = {
    *STOPS,
    *("CAP_DAC_READ_SEARCH", "CAP_CHECKPOINT_RESTORE", "CAP_SYSLOG", "kptr_restrict = 2"),
    *("perf_event_paranoid", "unprivileged_bpf_disabled", "a network namespace"),
    *("any other capability", "any other namespace", "/proc: hidepid, subset=pid"),
}


def test_every_row_is_tried() -> None:
    assert {need.name for need in needs.TABLE} == TRIED | ELSEWHERE
