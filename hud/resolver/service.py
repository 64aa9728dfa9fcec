"""The symbol resolver: a child process that reads other people's files without any privilege.

Terms: see `hud.resolver.messages`. The child gets open descriptors of modules and answers requests;
it never opens a file by name. A parser that is slow, fails or dies costs names, nothing else.
"""

from __future__ import annotations

import gc
import heapq
import importlib
import os
import select
import signal
import socket
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from hud.errors import FormatError, HudError
from hud.model import Frame
from hud.resolver import messages
from hud.resolver.confinement import EXIT_CRASHED, drop_privileges, leave_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.symbols.facts import Recovered
    from hud.symbols.loaded import Loaded
    from hud.symbols.tailcalls import TailCalls

REQUEST_CPU_S = 20.0
"""CPU time that one request may take; then it fails, or stays without the rest of its names."""

# Bytes that others wrote may trip a slip in a parser: that costs the request, not the resolver.
_SLIPS = (ArithmeticError, AssertionError, LookupError, ValueError, struct.error, zlib.error)


class _TooLong(Exception):  # noqa: N818 (not an error of anyone's: it only unwinds the request)
    """The request has used up its CPU time."""


class _Alarm:
    """Raises _TooLong in the code that runs, while it is armed."""

    def __init__(self) -> None:
        self._armed = False
        signal.signal(signal.SIGPROF, self._ring)

    def _ring(self, *_: object) -> None:
        if self._armed:
            self._armed = False
            raise _TooLong

    def arm(self) -> None:
        self._armed = True
        signal.setitimer(signal.ITIMER_PROF, REQUEST_CPU_S)

    def disarm(self) -> None:
        """A signal on its way is ignored from here on."""
        self._armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)


def run(
    sock: socket.socket, parent: int, memory_limit: int, imports: Sequence[str] = ()
) -> NoReturn:
    """The child's whole life, right after the fork; ``parent`` is the pid that forked, ``imports``
    are packages that only some runs need."""
    status = EXIT_CRASHED
    try:
        sock = leave_parent(sock)
        _import_everything()
        for name in imports:
            with suppress(ImportError):  # then the requests that need it fail
                importlib.import_module(name)
        drop_privileges(memory_limit)
        if os.getppid() == parent:
            gc.collect()
            gc.freeze()
            _serve(sock)
        status = 0
    except BaseException as why:  # noqa: BLE001 (the last stop: nothing of the parent may run)
        with suppress(BaseException):
            words = f"{type(why).__name__}: {why}"
            messages.send(sock, messages.pack(messages.Failed(0, words[:2000]))[0], ())
    finally:
        os._exit(status)


def _import_everything() -> None:
    """A private virtual environment or zipapp may be out of reach once root is gone."""
    import encodings.ascii
    import encodings.latin_1  # noqa: F401

    with suppress(ImportError):
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # noqa: F401


# --------------------------------------------------------------------------- requests


def _facts(loaded: Loaded, request: messages.AskFacts) -> messages.Facts:
    import msgspec

    facts = msgspec.Raw(messages.encode(loaded.module().facts()))
    crates, versions = loaded.crates()
    return messages.Facts(request.request, facts, crates, versions)


def _frames(loaded: Loaded, request: messages.AskFrames) -> messages.Frames:
    elf, module = loaded.elf(), loaded.module()
    answer: list[tuple[Frame, ...]] = []
    in_time = True
    for offset in request.offsets:
        vaddr = elf.vaddr_of(offset)
        frames: tuple[Frame, ...] = ()
        if vaddr is not None and in_time:
            # one damaged unit must not cost the names of all the other addresses
            try:
                frames = loaded.frames(vaddr)
            except _TooLong:
                in_time = False
            except (HudError, *_SLIPS):
                pass
        place = offset if vaddr is None else vaddr
        answer.append(frames or (Frame(0, module=loaded.name, offset=place),))
    return messages.Frames(request.request, answer, module.take_wanted())


def _tails(
    modules: dict[int, Loaded], tails: TailCalls, request: messages.AskTails
) -> messages.Tails:
    from hud.symbols.recovered import recovered

    answer: list[list[Recovered]] = []
    for pair in request.pairs:
        found: list[Recovered] = []
        with suppress(HudError, *_SLIPS):  # damage between two frames costs no others
            found = list(recovered(modules, tails, *pair))
        answer.append(found)
    return messages.Tails(request.request, answer)


def _unwind(loaded: Loaded, request: messages.AskUnwind) -> tuple[messages.Unwind, int | None]:
    from hud.symbols.elf import PF_X
    from hud.symbols.unwind.tableless import complete_table

    elf = loaded.elf()
    segments = [(s.vaddr, s.offset, s.filesz) for s in elf.loads if s.flags & PF_X]
    table = complete_table(elf)
    elf.release()
    link = elf.debuglink()
    info = elf.section(".debug_info")
    has_dwarf = info is not None and info.size > 0
    about = elf.build_id(), link[0] if link else "", has_dwarf, elf.tls.memsz if elf.tls else 0
    if table is None:
        return messages.Unwind(request.request, segments, "no .eh_frame", None, *about), None
    numbers = (
        table.base,
        table.count,
        table.functions,
        table.unsupported,
        len(table.buckets),
    )
    note = f"{table.unsupported} rules not understood" if table.unsupported else ""
    return (
        messages.Unwind(request.request, segments, note, numbers, *about),
        messages.memfd(table.rows, table.buckets),
    )


def _code(loaded: Loaded, request: messages.AskCode) -> messages.Code:
    vaddr = loaded.elf().vaddr_of(request.offset)
    if vaddr is None:
        raise FormatError(f"{loaded.name}: no code at offset {request.offset:#x}")
    found = loaded.listings().around(vaddr + request.caller, caller=request.caller)
    return messages.Code(request.request, found.rows, found.at, found.note)


def _debug(loaded: Loaded, request: messages.AddDebug, descriptor: int) -> messages.Debug:
    try:
        loaded.add_debug(descriptor, request.name)
    except FormatError as why:
        return messages.Debug(request.request, str(why)[:2000])
    return messages.Debug(request.request, "")


def _points(loaded: Loaded, request: messages.AskPoints) -> messages.Points:
    from hud.symbols.machine.probes import find_points
    from hud.symbols.symtab import Symtab

    elf = loaded.elf()
    files = [elf] if loaded.debug is None else [elf, loaded.debug]
    points = find_points(elf, map(Symtab, files))
    return messages.Points(request.request, points)


def _kinds(loaded: Loaded, request: messages.AskKinds) -> messages.Kinds:
    from hud.symbols.kinds import Functions

    elf, kinds = loaded.elf(), loaded.kinds()
    answer: list[tuple[str, str, bool]] = []
    for offsets in request.vtables:
        places = [elf.vaddr_of(offset) for offset in offsets]
        known = [place for place in places if place is not None]
        kind = ("", "", False)
        if len(known) == len(Functions._fields) == len(places):
            with suppress(HudError, *_SLIPS):  # damage at one costs no other its name
                kind = kinds.of(Functions(*known))
        answer.append(kind)
    elf.release()
    return messages.Kinds(request.request, answer)


_Ask = (
    messages.AskFacts
    | messages.AskFrames
    | messages.AskUnwind
    | messages.AddDebug
    | messages.AskCode
    | messages.AskPoints
    | messages.AskKinds
    | messages.AskTails
)
SHORT = 64
"""Offsets in a frame request that goes before longer ones, and pairs in one for tail calls."""


def _rank(request: _Ask) -> tuple[int, int]:
    turn = 0
    if isinstance(request, messages.AskFrames):
        turn = 1 + (len(request.offsets) > SHORT)
    elif isinstance(request, messages.AskTails):
        turn = 1 + (len(request.pairs) > SHORT)
    elif isinstance(request, messages.AskCode | messages.AskKinds):
        turn = 3
    return turn, request.request


def _work(
    modules: dict[int, Loaded], tails: TailCalls, request: _Ask, given: int | None
) -> tuple[messages.Answer, int | None]:
    if isinstance(request, messages.AskTails):
        return _tails(modules, tails, request), None
    loaded = modules.get(request.module)
    if loaded is None:
        raise FormatError(f"no module {request.module} was added")
    if isinstance(request, messages.AddDebug):
        if given is None:
            raise FormatError(f"{request.name}: its descriptor did not arrive")
        return _debug(loaded, request, given), None
    if isinstance(request, messages.AskFacts):
        return _facts(loaded, request), None
    if isinstance(request, messages.AskFrames):
        return _frames(loaded, request), None
    if isinstance(request, messages.AskCode):
        return _code(loaded, request), None
    if isinstance(request, messages.AskPoints):
        return _points(loaded, request), None
    if isinstance(request, messages.AskKinds):
        return _kinds(loaded, request), None
    return _unwind(loaded, request)


def _answer(
    modules: dict[int, Loaded],
    tails: TailCalls,
    request: _Ask,
    given: int | None,
    alarm: _Alarm,
) -> tuple[messages.Answer, int | None]:
    alarm.arm()
    try:
        answer = _work(modules, tails, request, given)
        alarm.disarm()
    except HudError as why:
        text = str(why)
    except _TooLong:
        text = f"gave up after {REQUEST_CPU_S:.0f} s of CPU time"
    except MemoryError:
        text = "not enough memory within the resolver's limit"
    except RecursionError:
        text = "nested too deeply"
    except (OSError, ImportError, *_SLIPS) as why:
        text = f"unexpected {type(why).__name__}: {why}"
    else:
        return answer
    alarm.disarm()
    return messages.Failed(request.request, text[:2000]), None


def _serve(sock: socket.socket) -> None:
    """Answers requests until the parent hangs up."""
    from hud.symbols.loaded import Loaded
    from hud.symbols.tailcalls import TailCalls

    modules: dict[int, Loaded] = {}
    tails = TailCalls(modules)
    alarm = _Alarm()
    queue: list[tuple[tuple[int, int], _Ask, int | None]] = []
    while True:
        while not queue or select.select([sock], [], [], 0)[0]:
            packet, descriptors = messages.receive(sock)
            if not packet:
                return
            request = messages.decode_request(messages.unpack(packet, descriptors))
            brings = isinstance(request, messages.AddModule | messages.AddDebug)
            given = descriptors.pop() if descriptors and brings else None
            if isinstance(request, messages.AddModule):
                modules[request.module] = Loaded(request.name, given)
            else:
                heapq.heappush(queue, (_rank(request), request, given))
            messages.close_all(descriptors)
        _, asked, given = heapq.heappop(queue)
        answer, body = _answer(modules, tails, asked, given, alarm)
        if given is not None:
            os.close(given)  # a map keeps its own
        packet, spilled = messages.pack(answer)
        owned = [fd for fd in (spilled, body) if fd is not None]
        messages.send(sock, packet, owned)
        messages.close_all(owned)
