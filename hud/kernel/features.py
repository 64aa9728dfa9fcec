"""What this kernel can do, found by trying; never by its version.

A feature has the release that brought it, only for the message. Every probe leaves nothing behind.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import KernelError
from hud.kernel import btf, cpus, denied, syscalls, tracefs, uapi
from hud.kernel.attach import UPROBE_PMU, uprobe_multi_works
from hud.kernel.maps import ENOTSUPP, Map
from hud.kernel.spec import MapSpec

if TYPE_CHECKING:
    from collections.abc import Callable

UNSUPPORTED = (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP, errno.ENOSYS, errno.ENOENT)
EXIT = struct.pack("<BBhi", uapi.BPF_JMP | uapi.BPF_EXIT, 0, 0, 0)
RETURN_0 = struct.pack("<BBhi", uapi.BPF_ALU64 | uapi.BPF_MOV, 0, 0, 0) + EXIT


class Feature(NamedTuple):
    name: str
    ok: bool
    detail: str
    """Why not; empty if ok."""
    since: str
    """The first release with it."""
    needed: bool
    """Whether hud's programs cannot run without it."""


class Attempt(NamedTuple):
    name: str
    since: str
    attempt: Callable[[], None]
    """Raises OSError or KernelError without the feature."""
    needed: bool = False
    otherwise: str = ""
    """What becomes of hud without it, where it is not needed."""


def _call(helper: int, tail: bytes = b"") -> bytes:
    return struct.pack("<BBhi", uapi.BPF_JMP | uapi.BPF_CALL, 0, 0, helper) + tail + RETURN_0


def _program(instructions: bytes, kind: int) -> None:
    syscalls.prog_load(kind, instructions, "GPL", name="hud_probe").close()


def _ring_buffer() -> None:
    syscalls.map_create(uapi.BPF_MAP_TYPE_RINGBUF, 0, 0, mmap.PAGESIZE, name="hud_probe").close()


def _shared_memory() -> None:
    flags = uapi.BPF_F_MMAPABLE
    syscalls.map_create(uapi.BPF_MAP_TYPE_ARRAY, 4, 8, 1, flags=flags, name="hud_probe").close()


def _batches() -> None:
    spec = MapSpec("hud_probe", uapi.BPF_MAP_TYPE_HASH, 4, 4, 4)
    with Map.create(spec) as probe:
        syscalls.map_update_batch(probe.fileno(), bytes(4), bytes(4), 1)


def _raw_tracepoint() -> None:
    kind = uapi.BPF_PROG_TYPE_RAW_TRACEPOINT
    with (
        syscalls.prog_load(kind, RETURN_0, "GPL", name="hud_probe") as program,
        syscalls.raw_tracepoint_open(program.fileno(), "sched_process_exit"),
    ):
        pass


def _perf_link() -> None:
    attr = uapi.perf_event_attr(
        type=uapi.PERF_TYPE_SOFTWARE,
        config=uapi.PERF_COUNT_SW_CPU_CLOCK,
        sample_period=10**9,
        flags=uapi.PERF_ATTR_DISABLED,
    )
    kind = uapi.BPF_PROG_TYPE_PERF_EVENT
    with (
        syscalls.prog_load(kind, RETURN_0, "GPL", name="hud_probe") as program,
        syscalls.perf_event_open(attr, -1, cpus.online()[0]) as event,
        syscalls.link_create(program.fileno(), event.fileno(), uapi.BPF_PERF_EVENT),
    ):
        pass


def _user_registers() -> None:
    # r1 = the current task, which bpf_task_pt_regs takes.
    argument = struct.pack("<BBhi", uapi.BPF_ALU64 | uapi.BPF_MOV | uapi.BPF_X, 0x01, 0, 0)
    code = _call(uapi.BPF_FUNC_get_current_task_btf, argument + _call(uapi.BPF_FUNC_task_pt_regs))
    _program(code[: -len(RETURN_0)], uapi.BPF_PROG_TYPE_RAW_TRACEPOINT)


def _kernel_stacks() -> None:
    # as the programs find out: the types have the list of the helpers
    types = btf.kernel_btf()
    for number in types.named("bpf_func_id", (btf.ENUM,)):
        for name, _ in types.enumerators(types.type(number)):
            if types.is_name(name, b"BPF_FUNC_get_task_stack"):
                return
    raise OSError(errno.EOPNOTSUPP, "no such helper")


def _many_uprobes() -> None:
    if not uprobe_multi_works(os.uname().release):
        raise OSError(errno.EOPNOTSUPP, "only one by one")


def _kernel_types() -> None:
    btf.kernel_btf()


def _tracefs() -> None:
    tracefs.find()


def _uprobes() -> None:
    (UPROBE_PMU / "type").read_bytes()


PROBES = (
    Attempt("BPF ring buffer", "5.8", _ring_buffer, needed=True),
    Attempt("BPF arrays in shared memory", "5.5", _shared_memory, needed=True),
    Attempt("BPF batched map operations", "5.6", _batches, otherwise="read one by one"),
    Attempt("BPF raw tracepoints", "4.17", _raw_tracepoint, needed=True),
    Attempt("bpf_link for perf events", "5.15", _perf_link, otherwise="attached by ioctl"),
    Attempt(
        *("BPF helper bpf_task_pt_regs", "5.15", _user_registers),
        otherwise="registers are read from the end of the thread's kernel stack",
    ),
    Attempt(
        *("BPF helper bpf_get_task_stack", "5.9", _kernel_stacks),
        otherwise="no kernel functions in the stacks of sleeps",
    ),
    Attempt("kernel types (BTF)", "5.4", _kernel_types, needed=True),
    Attempt("tracefs", "4.1", _tracefs),
    Attempt("uprobes (for --exact)", "4.17", _uprobes, otherwise="no --exact"),
    Attempt(
        *("one link for many uprobes", "6.10", _many_uprobes),
        otherwise="--exact takes 16 functions at most",
    ),
)
"""Releases: ring buffer 457f44363a88 (5.8), mmap of arrays fc9702273e2e (5.5), batches aa2e93b8e58e
(5.6), raw tracepoints c4f6699dfcb8 (4.17), perf links b89fbfbb854c (5.15), bpf_task_pt_regs
dd6e10fbd9fb (5.15), bpf_get_task_stack fa28dcb82a38 (5.9), uprobes by perf_event
33ea4b24277b (4.17), links of many uprobes that keep to one process 46ba0e49b642 (6.10)."""


def _problem(probe: Attempt) -> tuple[str, KernelError | None]:
    try:
        probe.attempt()
    except OSError as error:
        if error.errno in UNSUPPORTED:
            instead = f": {probe.otherwise}" if probe.otherwise else ""
            return f"not supported (requires Linux {probe.since}){instead}", None
        refusal = denied.refused(probe.name, error)
        return refusal.message.removeprefix(f"{probe.name}: "), refusal
    except KernelError as error:
        return error.message, error
    return "", None


def probe_all() -> list[Feature]:
    """Every feature, in a fixed order."""
    found = []
    for probe in PROBES:
        detail, _ = _problem(probe)
        found.append(Feature(probe.name, not detail, detail, probe.since, probe.needed))
    return found


def require_needed() -> None:
    """KernelError, with the release that brought it, if the kernel lacks something needed.

    What is only not permitted passes: whoever was refused it knows better why.
    """
    for probe in PROBES:
        if not probe.needed:
            continue
        detail, refusal = _problem(probe)
        if detail and refusal is None:
            raise KernelError(
                f"{probe.name} {detail}", hint=f"run a kernel of at least Linux {probe.since}"
            )
