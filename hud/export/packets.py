"""Packets of a Perfetto trace, all of one sequence; names are written once and numbered.

Format: perfetto/trace/{trace_packet, interned_data/interned_data, clock_snapshot}.proto and
track_event/*.proto, from where all field numbers are.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from hud.export.protobuf import block, double, fixed, number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SEQUENCE = number(10, 1)
_FIRST, _FURTHER = number(13, 3), number(13, 2)
"""sequence_flags: names begin anew; names of before are used."""
_REALTIME, _MONOTONIC = 1, 3
"""BuiltinClock."""
_CLOCK = number(58, _MONOTONIC)
_NAMES, _CATEGORIES, _KEYS, _TEXTS = 2, 1, 3, 29
"""InternedData."""


class Kind(IntEnum):
    """TrackEvent.Type."""

    BEGIN = 1
    END = 2
    INSTANT = 3
    COUNTER = 4


class Unit(IntEnum):
    """CounterDescriptor.Unit."""

    NONE = 0
    COUNT = 2


class Packets:
    """Each method gives the bytes of a packet, or those of a part for one."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}
        self._new: list[bytes] = []
        """Names that the next packet has to bring."""
        self._keys: dict[str, bytes] = {}
        self._flags = _FIRST

    def clocks(self, monotonic_ns: int, unix_ns: int) -> bytes:
        """That times are CLOCK_MONOTONIC's, and what the date was then."""
        clocks = (_MONOTONIC, monotonic_ns), (_REALTIME, unix_ns)
        said = b"".join(block(1, number(1, clock) + number(2, ns)) for clock, ns in clocks)
        return self._packet(block(6, said + number(2, _MONOTONIC)))

    def process(self, track: int, pid: int, name: str) -> bytes:
        said = number(1, pid) + block(6, name.encode())
        return self._packet(block(60, number(1, track) + block(3, said)))

    def thread(self, track: int, ids: tuple[int, int], name: str) -> bytes:
        """``ids``: pid and tid."""
        said = number(1, ids[0]) + number(2, ids[1]) + block(5, name.encode())
        return self._packet(block(60, number(1, track) + block(4, said)))

    def counter(self, track: int, parent: int, name: str, unit: Unit) -> bytes:
        said = number(1, track) + number(5, parent) + block(2, name.encode())
        return self._packet(block(60, said + block(8, number(3, unit))))

    def share(self, track: int, time_ns: int, value: float) -> bytes:
        """Of a counter."""
        return self.packet(time_ns, self.event(Kind.COUNTER, track) + double(44, value))

    def count(self, track: int, time_ns: int, value: int) -> bytes:
        """Of a counter."""
        # there even where it is 0
        said = number(30, value) or b"\xf0\x01\x00"
        return self.packet(time_ns, self.event(Kind.COUNTER, track) + said)

    def event(self, kind: Kind, track: int, name: str = "", category: str = "") -> bytes:
        """A TrackEvent's first fields."""
        said = number(9, kind) + number(11, track)
        if name:
            said += number(3, self._number(_CATEGORIES, category))
            said += number(10, self._number(_NAMES, name))
        return said

    def flow(self, flow: int) -> bytes:
        return fixed(47, flow)

    def annotations(self, said: Mapping[str, Any]) -> bytes:
        """A TrackEvent's values by name: numbers, texts, lists and mappings of these."""
        return b"".join(block(4, self._key(key) + self._value(of)) for key, of in said.items())

    def packet(self, time_ns: int, event: bytes) -> bytes:
        return self._packet(number(8, time_ns) + _CLOCK + block(11, event))

    def _packet(self, body: bytes) -> bytes:
        names = block(12, b"".join(self._new)) if self._new else b""
        self._new.clear()
        flags, self._flags = self._flags, _FURTHER
        return block(1, body + names + _SEQUENCE + flags)

    def _value(self, of: Any) -> bytes:
        if isinstance(of, bool):
            return b"\x10\x01" if of else b"\x10\x00"
        if isinstance(of, int):
            return number(4, of) or b"\x20\x00"
        if isinstance(of, float):
            return double(5, of)
        if isinstance(of, str):
            return number(17, self._number(_TEXTS, of))
        if isinstance(of, list):
            return b"".join(block(12, self._value(one)) for one in of)
        entries = (block(10, key.encode()) + self._value(one) for key, one in of.items())
        return b"".join(block(11, entry) for entry in entries)

    def _key(self, key: str) -> bytes:
        if key not in self._keys:
            self._keys[key] = number(1, self._number(_KEYS, key))
        return self._keys[key]

    def _number(self, table: int, text: str) -> int:
        of = table, text
        known = self._numbers.get(of)
        if known is None:
            known = self._numbers[of] = len(self._numbers) + 1
            self._new.append(block(table, number(1, known) + block(2, text.encode())))
        return known
