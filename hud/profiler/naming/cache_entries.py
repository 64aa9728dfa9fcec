"""A module's cache entries: unwind table, facts, names, task types, frames removed by tail calls.

An entry that does not decode, or is not sound, is removed and counts as absent.
"""

from __future__ import annotations

import hashlib
import struct
from array import array

import msgspec

from hud.profiler.naming.cache import Cache
from hud.profiler.naming.debugfiles import FileState
from hud.resolver.messages import Facts, Unwind
from hud.symbols.facts import UnwindTable

UNWIND, FACTS, NAMES, KINDS, TAIL_FRAMES = "unwind", "facts", "names", "kinds", "between"

KnownKinds = dict[tuple[int, ...], tuple[str, str, bool]]
"""File offsets of a vtable's functions -> name, where and ``inferred`` of its TaskKind."""
KnownSpans = dict[int, list[tuple[int, int, msgspec.Raw]]]
"""File offset of a call -> begin and end of functions that were the next inner frame, and what is
between, encoded."""


_Kinds = list[tuple[tuple[int, ...], tuple[str, str, bool]]]
_ROW = struct.Struct("<II")
_encode = msgspec.msgpack.Encoder().encode


def load_unwind(cache: Cache, key: str) -> Unwind | None:
    """The cached answer."""
    content = cache.load(key, UNWIND)
    if content is None:
        return None
    try:
        found = msgspec.msgpack.decode(content, type=Unwind)
    except msgspec.MsgspecError:
        found = None
    if found is None or (found.table is not None and not is_sound(found.table)):
        cache.remove(f"{key}.{UNWIND}")
        return None
    return found


def store_unwind(cache: Cache, key: str, answer: Unwind) -> None:
    """Store an answer for the next start."""
    if key:
        cache.store(key, UNWIND, _encode(answer))


def is_sound(table: UnwindTable) -> bool:
    """Whether a table is what hud.symbols.unwind.table promises, as far as a glance shows."""
    if len(table.rows) != 8 * table.count or not table.count or len(table.buckets) % 4:
        return False
    first = int.from_bytes(table.rows[:4], "little")
    last, rule = _ROW.unpack_from(table.rows, len(table.rows) - _ROW.size)
    buckets = array("I", table.buckets).tolist()
    return (
        first == 0
        and rule == 0
        and len(buckets) == (last + 256) // 256 + 1
        and buckets == sorted(buckets)
        and buckets[-1] < table.count
    )


def load_facts(cache: Cache, key: str, debug_files: tuple[FileState, ...]) -> Facts | None:
    """The cached facts of a module with these debug files."""
    content = cache.load(key, _kind(FACTS, debug_files)) if key else None
    if content is None:
        return None
    try:
        return msgspec.msgpack.decode(content, type=Facts)
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{_kind(FACTS, debug_files)}")
        return None


def store_facts(cache: Cache, key: str, debug_files: tuple[FileState, ...], answer: Facts) -> None:
    """Store the facts of a module with these debug files for the next start."""
    if key:
        cache.store(key, _kind(FACTS, debug_files), _encode(answer))


def load_names(
    cache: Cache, key: str, debug_files: tuple[FileState, ...]
) -> dict[int, msgspec.Raw]:
    """Offset in the file -> its encoded frames, as far as they are cached."""
    content = cache.load(key, _kind(NAMES, debug_files))
    if content is None:
        return {}
    try:
        return msgspec.msgpack.decode(content, type=dict[int, msgspec.Raw])
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{_kind(NAMES, debug_files)}")
        return {}


def store_names(
    cache: Cache, key: str, debug_files: tuple[FileState, ...], names: dict[int, msgspec.Raw]
) -> None:
    """Store the encoded frames of a module with these debug files for the next start."""
    cache.store(key, _kind(NAMES, debug_files), _encode(names))


def load_kinds(cache: Cache, key: str, debug_files: tuple[FileState, ...]) -> KnownKinds:
    """The cached types of tasks of a module with these debug files."""
    content = cache.load(key, _kind(KINDS, debug_files))
    if content is None:
        return {}
    try:
        return dict(msgspec.msgpack.decode(content, type=_Kinds))
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{_kind(KINDS, debug_files)}")
        return {}


def store_kinds(
    cache: Cache, key: str, debug_files: tuple[FileState, ...], kinds: KnownKinds
) -> None:
    """Store the types of tasks of a module with these debug files for the next start."""
    cache.store(key, _kind(KINDS, debug_files), _encode(list(kinds.items())))


def load_tail_frames(cache: Cache, key: str) -> dict[str, KnownSpans]:
    """What is between frames whose caller is in this module, by key of the inner frame's file."""
    content = cache.load(key, TAIL_FRAMES)
    if content is None:
        return {}
    try:
        return msgspec.msgpack.decode(content, type=dict[str, KnownSpans])
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{TAIL_FRAMES}")
        return {}


def store_tail_frames(cache: Cache, key: str, found: dict[str, KnownSpans]) -> None:
    """Store what is between frames whose caller is in this module, for the next start."""
    cache.store(key, TAIL_FRAMES, _encode(found))


def state(key: str, debug_files: tuple[FileState, ...]) -> str:
    """A module as it is now with these debug files; empty where it is not cached."""
    return f"{key}.{_kind(NAMES, debug_files)}" if key else ""


def _kind(what: str, debug_files: tuple[FileState, ...]) -> str:
    if not debug_files:
        return what
    return f"{hashlib.sha256(repr(debug_files).encode()).hexdigest()[:16]}.{what}"
