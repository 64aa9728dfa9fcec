"""Recognises the body of an async fn or block by its machine code.

A byte of the future, its state, says how far it has come. A future that is polled after it has
returned or panicked panics by the "resumed" panic, see `hud.symbols.inference.locations`.

The symbol of a body ends in ``{{closure}}``, as a closure's does. Its code differs: a body tests
its state before it does anything, and two values of it lead to the resumed panic. So a function is
one if a way leads from its first instruction to that panic on which nothing but one byte behind its
first or second argument is tested, and nothing done beside the stack. A closure that a body was
inlined into has the panic too, but does or tests other things before, or gets to the byte by a
pointer. What cannot be distinguished from a body is a closure that owns a future and does nothing
but poll it: its code is the body's, byte for byte.

Measured against debug info (rustc 1.95, release): of the functions with a closure's symbol it found
802 of 802 async bodies and none of 323 closures in a client of cloud storage, and all and none too
in a program of blockers (33 and 38; fat LTO, v0 names and aarch64 as well) and an HTTP server (4
and 25; with fat LTO and panic=abort 5 of 6: one that never returns has no such panic). Code without
optimisation is not understood.

Source: rustc_mir_transform::coroutine (the state is tested first, and by one switch).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64
from hud.symbols.machine import instructions
from hud.symbols.machine.instructions import LONGEST, Instruction, Op

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.locations import Location, Locations

CODE_LIMIT = 1 << 20
"""Bytes of one function that ways may lead through."""
STEPS = 400
"""Instructions that are followed in one function."""
ROWS = 4
"""Rows of a jump table that are followed: 0 is not begun, 1 returned, 2 panicked, 3 an await."""
CACHE_LIMIT = 1 << 14


class _Constant(NamedTuple):
    value: int


class _Argument(NamedTuple):
    """What the function was called with in a register, moved by some bytes."""

    register: int
    distance: int


class _State(NamedTuple):
    """The byte so far behind an argument, or what was computed of it alone."""

    register: int
    distance: int


class _Row(NamedTuple):
    """The row of a jump table that the state chooses."""

    state: _State
    table: int
    width: int


class _Target(NamedTuple):
    """Where that row leads: ``scale`` times what it says behind ``base``."""

    row: _Row
    base: int
    scale: int


_Value: TypeAlias = "_Constant | _Argument | _State | _Row | _Target | None"
_Registers: TypeAlias = "dict[int, _Value]"
_STACK = _Constant(0)
"""What the stack pointer was compared with is nobody's data."""


class _Machine(NamedTuple):
    decode: Callable[[bytes, int], Instruction | None]
    stack: int
    arguments: tuple[int, int]
    """The future comes first, or behind the place for the result."""


_MACHINES = {
    EM_X86_64: _Machine(instructions.x86_64, instructions.STACK_X86_64, (7, 6)),
    EM_AARCH64: _Machine(instructions.aarch64, instructions.STACK_AARCH64, (0, 1)),
}


class Coroutines:
    """Knows the bodies of async fns and blocks of one module."""

    def __init__(self, elf: ElfFile, locations: Locations) -> None:
        self._elf = elf
        self._locations = locations
        self._known: dict[int, tuple[bool, Location | None]] = {}

    def is_body(self, start: int, size: int) -> bool:
        """Is the function [start, start + size) one? False where that is not sure; never raises."""
        return self._walked(start, size)[0]

    def declared(self, start: int, size: int) -> Location | None:
        """Where the async fn or block is declared whose body the function is; None = it is none, or
        that is not known.
        """
        return self._walked(start, size)[1]

    def _walked(self, start: int, size: int) -> tuple[bool, Location | None]:
        if start not in self._known:
            if len(self._known) >= CACHE_LIMIT:
                self._known.clear()
            self._known[start] = self._walk(start, size)
        return self._known[start]

    def _walk(self, start: int, size: int) -> tuple[bool, Location | None]:
        machine = _MACHINES.get(self._elf.machine_id)
        if machine is None:
            return False, None
        try:
            code = self._elf.read(start, min(size, CODE_LIMIT))
        except FormatError:
            return False, None
        passed = _Walk(self._elf, code, start, machine, self._locations).to_panic()
        if passed is None:
            return False, None
        named = {one for one in map(self._locations.at, passed) if one is not None}
        return True, named.pop() if len(named) == 1 else None


class _Walk:
    """The ways through one function that its state alone chooses."""

    def __init__(
        self,
        elf: ElfFile,
        code: memoryview,
        start: int,
        machine: _Machine,
        locations: Locations,
    ) -> None:
        self._elf = elf
        self._code = code
        self._start = start
        self._machine = machine
        self._locations = locations
        self._state: _State | None = None
        self._seen: set[int] = set()
        self._ways: list[tuple[int, _Registers]] = []

    def to_panic(self) -> list[int] | None:
        """The constants that the resumed panic is called with, its location among them; None = no
        way ends in it.
        """
        begin: _Registers = {one: _Argument(one, 0) for one in self._machine.arguments}
        self._ways.append((self._start, begin))
        steps = 0
        while self._ways:
            pc, registers = self._ways.pop()
            compared: _Value = None
            while steps < STEPS:
                steps += 1
                found = self._at(pc)
                if found is None:
                    break
                pc += found.size
                if found.op is Op.CALL:
                    if self._state is not None and self._panics(found.a, registers):
                        return _constants(registers)
                    break
                if found.op in (Op.TEST, Op.TEST_BYTE):
                    compared = self._compared(found, registers)
                elif found.op in (Op.BRANCH, Op.BRANCH_ON):
                    on = registers.get(found.b) if found.op is Op.BRANCH_ON else compared
                    if on != _STACK and not self._is_state(on):
                        break
                    self._follow(found.a, registers)
                elif found.op is Op.JUMP:
                    pc = found.a
                elif found.op in (Op.SWITCH, Op.TABLE):
                    for target in self._targets(found, registers):
                        self._follow(target, registers)
                    break
                elif found.op is not Op.NOTHING:
                    registers[found.a] = _result(found, registers)
        return None

    def _at(self, pc: int) -> Instruction | None:
        at = pc - self._start
        if not 0 <= at < len(self._code):
            return None
        return self._machine.decode(bytes(self._code[at : at + LONGEST]).ljust(LONGEST, b"\0"), pc)

    def _follow(self, pc: int, registers: _Registers) -> None:
        if pc not in self._seen:
            self._seen.add(pc)
            self._ways.append((pc, dict(registers)))

    def _is_state(self, value: _Value) -> bool:
        """Is it the state? What is tested first is taken for it."""
        if not isinstance(value, _State):
            return False
        self._state = self._state or value
        return value == self._state

    def _compared(self, found: Instruction, registers: _Registers) -> _Value:
        if found.op is Op.TEST_BYTE:
            return _byte(registers.get(found.a), found.b)
        return _STACK if found.a == self._machine.stack else registers.get(found.a)

    def _targets(self, found: Instruction, registers: _Registers) -> Iterator[int]:
        value = registers.get(found.a if found.op is Op.SWITCH else found.b)
        if found.op is Op.TABLE:
            if self._is_state(value):
                for place in range(found.a, found.a + 8 * ROWS, 8):
                    yield self._locations.pointer_or_none(place)
        elif isinstance(value, _Target) and self._is_state(value.row.state):
            _, table, width = value.row
            for place in range(table, table + width * ROWS, width):
                try:
                    row = bytes(self._elf.read(place, width))
                except FormatError:
                    return
                yield value.base + value.scale * int.from_bytes(row, "little", signed=width == 4)

    def _panics(self, callee: int, registers: _Registers) -> bool:
        if self._locations.is_resumed(callee):
            return True
        # older compilers have no function for it: the message goes to the common one
        return any(map(self._locations.says_resumed, _constants(registers)))


def _constants(registers: _Registers) -> list[int]:
    return [one.value for one in registers.values() if isinstance(one, _Constant)]


def _byte(base: _Value, distance: int) -> _State | None:
    if isinstance(base, _Argument):
        return _State(base.register, base.distance + distance)
    return None


def _result(found: Instruction, registers: _Registers) -> _Value:
    """What an instruction leaves in its first operand."""
    if found.op is Op.SET:
        return _Constant(found.b)
    one, two = registers.get(found.b), registers.get(found.c)
    if found.op is Op.MOVE:
        return one
    if found.op is Op.LOAD:
        return _byte(one, found.c)
    if found.op is Op.COMPUTE:
        return one if isinstance(one, _State) else None
    if found.op is Op.OFFSET:
        return _moved(one, found.c)
    if found.op is Op.INDEXED and isinstance(one, _Constant) and isinstance(two, _State):
        return _Row(two, one.value, found.d)
    if found.op is Op.INDEXED and isinstance(two, _Constant) and found.d == 1:
        return _byte(one, two.value)
    if found.op is Op.ADD:
        if isinstance(one, _Row) and found.d == 1:
            one, two = two, one
        if isinstance(one, _Constant) and isinstance(two, _Row):
            return _Target(two, one.value, found.d)
        if isinstance(two, _Constant):
            return _moved(one, two.value * found.d)
    return None


def _moved(value: _Value, distance: int) -> _Value:
    if isinstance(value, _Constant):
        return _Constant(value.value + distance)
    if isinstance(value, _Argument):
        return _Argument(value.register, value.distance + distance)
    return value if isinstance(value, _State) else None
