"""Files and names of real processes: deleted and replaced ones, other namespaces, refusals."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hud.errors import KernelError, TargetError
from hud.model import Mapping
from hud.process.executable import open_executable, open_mapping, open_named, same_file
from hud.process.find import find_target
from hud.process.mappings import Mappings, read_mappings
from hud.process.namespace import in_initial_pid_namespace
from hud.process.threads import list_threads

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]


@contextmanager
def running(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def eventually(check: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def mapping_of(pid: int, name: str) -> Mapping:
    return next(
        item for item in Mappings(read_mappings(pid)).executable if Path(item.path).name == name
    )


def runs(pid: int, name: str) -> bool:
    """It has the name before exec is through, and the vdso mapped after it; it sleeps at last."""
    named = Path(f"/proc/{pid}/comm").read_text().strip() == name
    return named and "[vdso]" in Path(f"/proc/{pid}/maps").read_text()


def test_replaced_executable_is_the_one_that_runs(tmp_path: Path) -> None:
    program = tmp_path / "hud-test-shop"
    shutil.copy("/bin/sleep", program)
    with running(program, "60") as process:
        eventually(lambda: runs(process.pid, program.name))
        program.unlink()
        program.write_bytes(b"another one")
        target = find_target(program.name, None)
        assert (target.pid, target.executable) == (process.pid, str(program))
        mapping = mapping_of(process.pid, program.name)
        assert mapping.deleted
        opened = [
            open_executable(process.pid),
            open_mapping(process.pid, mapping),
            open_named(str(program)),
        ]
        try:
            assert same_file(opened[0], opened[1])
            assert not same_file(opened[0], opened[2])
            assert os.pread(opened[0], 1 << 20, 0) == Path("/bin/sleep").read_bytes()
        finally:
            for descriptor in opened:
                os.close(descriptor)


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[int]:
    """Pid of a sleep in a pid and mount namespace of its own, whose program only it can see."""
    script = (
        "mount -t tmpfs none $1 && cp /bin/sleep $1/hud-test-inner && $1/hud-test-inner 60 & wait"
    )
    with running(
        *("unshare", "-pmf", "--kill-child", "--mount-proc", "sh", "-c", script, "sh", tmp_path)
    ):
        found: list[int] = []

        def there() -> bool:
            try:
                found[:] = [find_target("hud-test-inner", None).pid]
            except TargetError:
                return False
            return True

        eventually(there)
        yield found[0]


def test_target_in_another_pid_and_mount_namespace(contained: int, tmp_path: Path) -> None:
    program = tmp_path / "hud-test-inner"
    assert not program.exists()
    assert find_target(None, contained).executable == str(program)
    assert [thread.name for thread in list_threads(contained)] == ["hud-test-inner"]
    mapping = mapping_of(contained, program.name)
    assert not mapping.deleted
    executable, mapped = open_executable(contained), open_mapping(contained, mapping)
    try:
        assert same_file(executable, mapped)
        assert os.pread(mapped, 1 << 20, 0) == Path("/bin/sleep").read_bytes()
    finally:
        os.close(executable)
        os.close(mapped)


def test_path_inside_the_targets_root_without_map_files(contained: int, tmp_path: Path) -> None:
    mapping = mapping_of(contained, "hud-test-inner")
    proc = tmp_path / "proc"
    (proc / str(contained)).mkdir(parents=True)
    (proc / str(contained) / "root").symlink_to(f"/proc/{contained}/root")
    descriptor = open_mapping(contained, mapping, proc)
    try:
        assert os.fstat(descriptor).st_ino == mapping.inode
    finally:
        os.close(descriptor)


def test_every_executable_mapping_of_a_real_process_opens() -> None:
    with running("/bin/sleep", "60") as process:
        eventually(lambda: runs(process.pid, "sleep"))
        mappings = Mappings(read_mappings(process.pid)).executable
        names = {Path(item.path).name for item in mappings}
        assert {"sleep", "[vdso]"} <= names
        for mapping in mappings:
            if mapping.path == "[vsyscall]":
                continue
            descriptor = open_mapping(process.pid, mapping)
            try:
                assert os.pread(descriptor, 4, 0) == b"\x7fELF", mapping.path
            finally:
                os.close(descriptor)


def in_python(program: str, *before: str) -> str:
    ran = subprocess.run(
        [*before, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return ran.stdout + ran.stderr


def test_own_pid_namespace_is_noticed() -> None:
    assert in_initial_pid_namespace()
    program = (
        "from hud.process.namespace import require_initial_pid_namespace\n"
        "from hud.errors import KernelError\n"
        "try: require_initial_pid_namespace()\n"
        "except KernelError as error: print(error.hint)\n"
    )
    assert "--pid=host" in in_python(program, "unshare", "-pf", "--mount-proc")


def test_the_clock_is_the_kernels_wherever_hud_runs() -> None:
    program = (
        "import time\n"
        "from hud.process.namespace import join_initial_time_namespace\n"
        "before = time.monotonic()\n"
        "join_initial_time_namespace()\n"
        "print(round((before - time.monotonic()) / 1000))\n"
    )
    assert in_python(program) == "0\n"
    assert in_python(program, "unshare", "-T", "--fork", "--monotonic", "5000") == "5\n"
    late = "import threading, time\n"
    late += "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
    said = in_python(late + program, "unshare", "-T", "--fork", "--monotonic", "5000")
    assert "another clock than the kernel" in said


def test_process_of_another_user_without_root() -> None:
    with running("/bin/sleep", "60") as process:
        eventually(lambda: runs(process.pid, "sleep"))
        program = (
            "import os\n"
            "from hud.errors import KernelError\n"
            "from hud.process.find import find_target\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"try: find_target(None, {process.pid})\n"
            "except KernelError as error: print(error, '|', error.hint)\n"
        )
        assert in_python(program).strip() == (
            f"process {process.pid} (sleep): it belongs to user root, and reading it is not "
            f"permitted | run as root: sudo hud --pid {process.pid}"
        )


def test_thread_kernel_thread_and_zombie_are_told_apart() -> None:
    kthreadd = Path("/proc/2/comm")
    if kthreadd.exists() and kthreadd.read_text() == "kthreadd\n":
        with pytest.raises(TargetError, match="is a kernel thread"):
            find_target(None, 2)
    program = "import threading,time;threading.Thread(target=time.sleep,args=(60,)).start()"
    with running(sys.executable, "-c", program) as process:
        eventually(lambda: len(list_threads(process.pid)) == 2)
        tid = list_threads(process.pid)[1].tid
        with pytest.raises(TargetError, match=f"^{tid} is a thread of process {process.pid} "):
            find_target(None, tid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(TargetError, match="is a zombie"):
            find_target(None, process.pid)
        with pytest.raises((TargetError, KernelError)):
            open_executable(process.pid)
