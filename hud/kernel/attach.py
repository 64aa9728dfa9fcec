"""Attaches programs: tracepoints, raw tracepoints, perf events and uprobes.

A link keeps programs attached and owns the descriptors that do; closing it detaches. The old way is
the ioctl PERF_EVENT_IOC_SET_BPF, used where the kernel has no bpf_link for perf events (before
5.15), or on demand.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hud.closing import Closing
from hud.errors import FormatError, KernelError
from hud.kernel import cpus, denied, syscalls, tracefs, uapi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.kernel.fd import Fd
    from hud.kernel.loader import Program

UPROBE_PMU = Path("/sys/bus/event_source/devices/uprobe")
NO_LINK = (errno.EINVAL, errno.EOPNOTSUPP)


class Link(Closing):
    """Owns one attachment, on as many CPUs as it took."""

    def __init__(self, name: str, owned: ExitStack) -> None:
        self.name = name
        self._owned = owned

    def close(self) -> None:
        """Detach; a second call does nothing."""
        self._owned.close()


def attach_tracepoint(
    program: Program,
    category: str,
    name: str,
    *,
    old_way: bool = False,
    tracefs_root: Path | None = None,
) -> Link:
    """To a classic tracepoint, on every CPU and for every process."""
    label = f"attach {category}/{name}"
    number = tracefs.tracepoint_id(category, name, tracefs_root)
    attr = uapi.perf_event_attr(
        type=uapi.PERF_TYPE_TRACEPOINT, config=number, sample_period=1, wakeup_events=1
    )
    # One event reaches every CPU: the program hangs on the tracepoint, not on the event.
    return _perf_link(label, program, attr, [(-1, cpus.online()[0])], old_way)


def attach_raw_tracepoint(program: Program, name: str) -> Link:
    """To a raw tracepoint by its name without category; needs no tracefs."""
    return _raw(f"attach raw tracepoint {name}", program, name)


def attach_tp_btf(program: Program) -> Link:
    """To the tracepoint that the program was loaded for."""
    return _raw(f"attach tracepoint {program.spec.target}", program, "")


def attach_perf_event(
    program: Program,
    *,
    frequency: int = 0,
    period: int = 0,
    pid: int = -1,
    old_way: bool = False,
) -> Link:
    """To samples of the CPU clock: ``frequency`` in Hz, or every ``period`` nanoseconds.

    ``pid`` -1 samples every thread on every online CPU, else that one thread wherever it runs.
    """
    if bool(frequency) == bool(period):
        raise ValueError("either a frequency or a period")
    attr = uapi.perf_event_attr(
        type=uapi.PERF_TYPE_SOFTWARE,
        config=uapi.PERF_COUNT_SW_CPU_CLOCK,
        sample_period=frequency or period,
        flags=uapi.PERF_ATTR_FREQ if frequency else 0,
    )
    on_cpus = cpus.online() if pid == -1 else (-1,)
    return _perf_link("attach CPU samples", program, attr, [(pid, cpu) for cpu in on_cpus], old_way)


def attach_uprobe(
    program: Program,
    path: str,
    offset: int,
    *,
    pid: int = -1,
    on_return: bool = False,
    old_way: bool = False,
) -> Link:
    """To the instruction at file ``offset`` of ``path``, in one process (all of its threads) or,
    with ``pid`` -1, in all.

    The caller vouches for the offset: the kernel takes one inside data or inside an instruction and
    corrupts the target.
    """
    label = f"attach uprobe {path}+{offset:#x}"
    try:
        size = os.stat(path).st_size  # noqa: PTH116
    except OSError as error:
        raise KernelError(f"{label}: {(error.strerror or '').lower()}") from error
    if not 0 <= offset < size:
        raise KernelError(f"{label}: outside the file, which has {size} bytes")
    text = ctypes.create_string_buffer(os.fsencode(path))
    attr = uapi.perf_event_attr(
        type=_uprobe_type(label),
        config=1 << _return_bit() if on_return else 0,
        config1=ctypes.addressof(text),
        config2=offset,
    )
    where = [(pid, -1 if pid != -1 else cpus.online()[0])]
    return _perf_link(label, program, attr, where, old_way)


def attach_uprobe_multi(
    program: Program,
    path: str,
    places: Sequence[tuple[int, int]],
    *,
    pid: int,
    on_return: bool = False,
) -> Link:
    """To many instructions of ``path``, (file offset, cookie), with one link, in one process.

    For a program loaded with BPF_TRACE_UPROBE_MULTI. The caller vouches for the offsets, as above;
    one that the kernel refuses refuses all. Linux 6.6 (89ae89f53d20), whose first releases run the
    program in one thread only where a pid is given: see ``uprobe_multi_works``.
    """
    label = f"attach {len(places)} uprobes to {path}"
    flags = uapi.BPF_F_UPROBE_MULTI_RETURN if on_return else 0
    try:
        fd = syscalls.link_create_uprobe_multi(
            program.fileno(),
            os.fsencode(path) + b"\0",
            [offset for offset, _ in places],
            [cookie for _, cookie in places],
            pid=pid,
            flags=flags,
        )
    except OSError as error:
        if error.errno == errno.ESRCH:
            raise KernelError(f"{label}: the process is gone") from error
        raise denied.refused(label, error) from error
    owned = ExitStack()
    owned.enter_context(fd)
    return Link(label, owned)


def uprobe_multi_works(release: str) -> bool:
    """Whether a kernel of this release may be asked for one. From 6.6 to 6.9 the filter by process
    compares threads (mended in 6.10, 46ba0e49b642): no attempt would show it."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and (int(found[1]), int(found[2])) >= (6, 10)


# --------------------------------------------------------------------------- how


def _raw(label: str, program: Program, name: str) -> Link:
    try:
        fd = syscalls.raw_tracepoint_open(program.fileno(), name)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise KernelError(f"{label}: this kernel does not have it") from error
        raise denied.refused(label, error) from error
    owned = ExitStack()
    owned.enter_context(fd)
    return Link(label, owned)


def _perf_link(
    label: str,
    program: Program,
    attr: uapi.perf_event_attr,
    places: Sequence[tuple[int, int]],
    old_way: bool,
) -> Link:
    attr.flags |= uapi.PERF_ATTR_DISABLED
    with ExitStack() as owned:
        try:
            for pid, cpu in places:
                event = owned.enter_context(syscalls.perf_event_open(attr, pid, cpu))
                _set_program(owned, program, event, old_way)
                syscalls.perf_event_enable(event.fileno())
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise KernelError(f"{label}: the process is gone") from error
            raise denied.refused(label, error) from error
        return Link(label, owned.pop_all())


def _set_program(owned: ExitStack, program: Program, event: Fd, old_way: bool) -> None:
    if not old_way:
        try:
            link = syscalls.link_create(program.fileno(), event.fileno(), uapi.BPF_PERF_EVENT)
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
        else:
            owned.enter_context(link)
            return
    syscalls.perf_event_set_bpf(event.fileno(), program.fileno())


def _uprobe_type(label: str) -> int:
    try:
        return int((UPROBE_PMU / "type").read_text())
    except FileNotFoundError as error:
        raise KernelError(
            f"{label}: uprobes not supported (requires Linux 4.17 with CONFIG_UPROBE_EVENTS)"
        ) from error
    except (OSError, ValueError) as error:
        raise KernelError(f"{label}: {UPROBE_PMU}/type: {error}") from error


def _return_bit() -> int:
    """The bit of ``config`` that asks for the return: ``config:0`` in sysfs."""
    text = (UPROBE_PMU / "format" / "retprobe").read_text().strip()
    head, _, bit = text.partition(":")
    if head != "config" or not bit.isdecimal() or int(bit) > 63:
        raise FormatError(f"{UPROBE_PMU}/format/retprobe: {text[:40]!r} not understood")
    return int(bit)
