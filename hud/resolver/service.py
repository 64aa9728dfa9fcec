"""The symbol resolver: a child process that reads other people's files without any privilege.

The child gets open descriptors of modules and answers questions (hud.resolver.messages); it never
opens a file by name. A parser that is slow, fails or dies costs names, nothing else.
"""

from __future__ import annotations

import gc
import heapq
import importlib
import os
import pkgutil
import select
import signal
import socket
import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from hud.errors import FormatError, HudError
from hud.model import Frame
from hud.resolver import child, messages
from hud.resolver.confinement import EXIT_CRASHED, allow_nothing_new, drop_privileges, leave_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hud.symbols.loaded import Loaded

REQUEST_CPU_S = 5.0
"""CPU time that one question may take; then it fails, or stays without the rest of its names."""
LAST_CPU_S = 2.0
"""More than that, for what hangs in a library's code: then the kernel ends the child."""

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
        signal.setitimer(signal.ITIMER_VIRTUAL, REQUEST_CPU_S + LAST_CPU_S)

    def disarm(self) -> None:
        """A signal on its way is ignored from here on."""
        self._armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def run(
    sock: socket.socket, parent: int, memory_limit: int, imports: Sequence[str] = ()
) -> NoReturn:
    """The child's whole life, right after the fork; ``parent`` is the pid that forked, ``imports``
    are packages that only some runs need."""
    status = EXIT_CRASHED
    try:
        gc.freeze()  # memory that is not looked at stays the parent's
        sock = leave_parent(sock)
        _import_everything()
        for name in imports:
            with suppress(ImportError):  # then the requests that need it fail
                importlib.import_module(name)
        drop_privileges(memory_limit)
        allow_nothing_new()
        if os.getppid() == parent:
            gc.freeze()
            _serve(sock)
        status = 0
    except BaseException as why:  # noqa: BLE001 (the last stop: nothing of the parent may run)
        with suppress(BaseException):
            words = f"{type(why).__name__}: {why}"
            messages.send(sock, messages.pack(0, messages.Failed(words[:2000]))[0], ())
    finally:
        os._exit(status)


def begin(parent: int, memory_limit: int, imports: Sequence[str]) -> NoReturn:
    """``run`` for a program that was spawned."""
    run(socket.socket(fileno=child.ENTRY), parent, memory_limit, imports)


def _import_everything() -> None:
    """No file can be opened later on, and none is within reach once root is gone."""
    import encodings.ascii
    import encodings.latin_1  # noqa: F401

    import hud.symbols
    from hud.symbols.elf import inflate

    for found in pkgutil.walk_packages(hud.symbols.__path__, "hud.symbols."):
        importlib.import_module(found.name)
    with suppress(ImportError):  # a Python that was built without it
        import lzma  # noqa: F401
    inflate.load_zstd()


class Files:
    """What the child has been given: modules by number, and how they call one another."""

    def __init__(self) -> None:
        from hud.symbols.tailcalls.paths import TailCalls

        self.modules: dict[int, Loaded] = {}
        self.tails = TailCalls(self.modules)
        self.given: int | None = None
        """The descriptor that came with the question."""

    def add(self, number: int, name: str, descriptor: int | None) -> None:
        from hud.symbols.loaded import Loaded

        self.modules[number] = Loaded(name, descriptor)

    def of(self, module: int) -> Loaded:
        loaded = self.modules.get(module)
        if loaded is None:
            raise FormatError(f"no module {module} was added")
        return loaded


# --------------------------------------------------------------------------- questions


def _facts(files: Files, asked: messages.AskFacts) -> messages.Facts:
    loaded = files.of(asked.module)
    facts = loaded.module().facts()
    return messages.Facts(facts, *loaded.crates())


def _frames(files: Files, asked: messages.AskFrames) -> messages.Frames:
    loaded = files.of(asked.module)
    elf, module = loaded.elf(), loaded.module()
    answer: list[tuple[Frame, ...]] = []
    in_time = True
    for offset in asked.offsets:
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
        address = offset if vaddr is None else vaddr
        answer.append(frames or (Frame(0, module=loaded.name, offset=address),))
    return messages.Frames(answer, module.take_wanted())


def _tails(files: Files, asked: messages.AskTails) -> messages.Tails:
    from hud.symbols.facts import Between
    from hud.symbols.tailcalls.recovered import between

    answer: list[Between] = []
    for pair in asked.pairs:
        found = Between(pair[-1], pair[-1] + 1, [])
        with suppress(HudError, *_SLIPS):  # damage between two frames costs no others
            found = between(files.modules, files.tails, *pair)
        answer.append(found)
    return messages.Tails(answer)


def _unwind(files: Files, asked: messages.AskUnwind) -> messages.Unwind:
    from hud.symbols.elf.file import PF_X
    from hud.symbols.unwind.tableless import complete_table

    elf = files.of(asked.module).elf()
    segments = [(s.vaddr, s.offset, s.filesz) for s in elf.loads if s.flags & PF_X]
    table = complete_table(elf)
    elf.release()
    note = "no .eh_frame"
    if table is not None:
        note = f"{table.unsupported} rules not understood" if table.unsupported else ""
    link = elf.debuglink()
    info = elf.section(".debug_info")
    return messages.Unwind(
        segments,
        table,
        note,
        build_id=elf.build_id(),
        debuglink=link[0] if link else "",
        has_dwarf=info is not None and info.size > 0,
        tls=elf.tls.memsz if elf.tls else 0,
    )


def _code(files: Files, asked: messages.AskCode) -> messages.Code:
    loaded = files.of(asked.module)
    vaddr = loaded.elf().vaddr_of(asked.offset)
    if vaddr is None:
        raise FormatError(f"{loaded.name}: no code at offset {asked.offset:#x}")
    found = loaded.listings().around(vaddr + asked.caller, caller=asked.caller)
    return messages.Code(found.rows, found.at, found.note)


def _debug(files: Files, asked: messages.AddDebug) -> messages.Debug:
    loaded = files.of(asked.module)
    if files.given is None:
        return messages.Debug(f"{asked.name}: not an ELF file")
    try:
        loaded.add_debug(files.given, asked.name)
    except FormatError as why:
        return messages.Debug(str(why)[:2000])
    return messages.Debug("")


def _points(files: Files, asked: messages.AskPoints) -> messages.Points:
    from hud.symbols.elf.symtab import Symtab
    from hud.symbols.machine.probes import find_points

    loaded = files.of(asked.module)
    elf = loaded.elf()
    found = [elf] if loaded.debug is None else [elf, loaded.debug]
    return messages.Points(find_points(elf, map(Symtab, found)))


def _kinds(files: Files, asked: messages.AskKinds) -> messages.Kinds:
    from hud.symbols.kinds import VtableFunctions

    loaded = files.of(asked.module)
    elf, kinds = loaded.elf(), loaded.kinds()
    answer: list[tuple[str, str, bool]] = []
    for offsets in asked.vtables:
        vaddrs = [elf.vaddr_of(offset) for offset in offsets]
        known = [vaddr for vaddr in vaddrs if vaddr is not None]
        kind = ("", "", False)
        if len(known) == len(VtableFunctions._fields) == len(vaddrs):
            with suppress(HudError, *_SLIPS):  # damage at one costs no other its name
                kind = kinds.of(VtableFunctions(*known))
        answer.append(kind)
    elf.release()
    return messages.Kinds(answer)


SHORT = 64
"""Addresses, or pairs of them, in a question that goes before longer ones."""


def _names(parts: Sequence[object]) -> int:
    return 1 + (len(parts) > SHORT)


class Handler(NamedTuple):
    """How one kind of question is answered."""

    answer: Callable[[Files, Any], messages.Answer]
    rank: Callable[[Any], int] = lambda _: 0
    """Those with the lowest are answered first: what a run begins with, names, details."""


HANDLERS: dict[type[messages.Question[Any]], Handler] = {
    messages.AskUnwind: Handler(_unwind),
    # before the unwind tables of many libraries: no poll is seen without the facts of one file,
    # and its debug file, which comes first, is part of them
    messages.AddDebug: Handler(_debug, lambda _: -1),
    messages.AskFacts: Handler(_facts, lambda _: -1),
    messages.AskPoints: Handler(_points),
    messages.AskFrames: Handler(_frames, lambda asked: _names(asked.offsets)),
    messages.AskTails: Handler(_tails, lambda asked: _names(asked.pairs)),
    messages.AskCode: Handler(_code, lambda _: 3),
    messages.AskKinds: Handler(_kinds, lambda _: 3),
}


# --------------------------------------------------------------------------- the work


def _answer(files: Files, asked: messages.Question[Any], alarm: _Alarm) -> messages.Answer:
    alarm.arm()
    try:
        answer = HANDLERS[type(asked)].answer(files, asked)
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
    return messages.Failed(text[:2000])


class _Waiting(NamedTuple):
    """A question in the queue; ordered by rank, then as they came."""

    rank: int
    number: int
    asked: messages.Question[Any]
    given: int | None


def _serve(sock: socket.socket) -> None:
    """Answers questions until the parent hangs up."""
    files = Files()
    alarm = _Alarm()
    decode = messages.decoder(messages.Question)
    queue: list[_Waiting] = []
    while True:
        while not queue or select.select([sock], [], [], 0)[0]:
            packet, descriptors = messages.receive(sock)
            if not packet:
                return
            number, asked = decode(messages.unpack(packet, descriptors))
            brings = isinstance(asked, messages.AddModule | messages.AddDebug)
            given = descriptors.pop() if descriptors and brings else None
            messages.close_all(descriptors)
            if isinstance(asked, messages.AddModule):
                files.add(number, asked.name, given)
            else:
                rank = HANDLERS[type(asked)].rank(asked)
                heapq.heappush(queue, _Waiting(rank, number, asked, given))
        _, number, asked, files.given = heapq.heappop(queue)
        answer = _answer(files, asked, alarm)
        messages.close_all([] if files.given is None else [files.given])  # a map keeps its own
        packet, spilled = messages.pack(number, answer)
        owned = [] if spilled is None else [spilled]
        messages.send(sock, packet, owned)
        messages.close_all(owned)
