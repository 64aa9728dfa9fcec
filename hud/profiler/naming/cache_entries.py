"""What the cache keeps of a module: unwind table, facts, names, seams, types; as checked bytes.

An entry that does not hold together is None, as if it were absent.
"""

from __future__ import annotations

import hashlib
import struct
from array import array

import msgspec

from hud.profiler.naming.cache import Cache
from hud.profiler.naming.debugfiles import Place
from hud.resolver.messages import Facts, Unwind
from hud.symbols.facts import UnwindTable

UNWIND, FACTS, NAMES, KINDS, SEAMS = "unwind", "facts", "names", "kinds", "between"

KnownKinds = dict[tuple[int, ...], tuple[str, str, bool]]
"""File offsets of a vtable's functions -> name, where and ``inferred`` of its TaskKind."""
KnownSpans = dict[int, list[tuple[int, int, msgspec.Raw]]]
"""File offset of a call -> begin and end of functions that were the next inner frame, and what is
between, encoded."""


_Kinds = list[tuple[tuple[int, ...], tuple[str, str, bool]]]
_ROW = struct.Struct("<II")
_encode = msgspec.msgpack.Encoder().encode


def load_unwind(cache: Cache, key: str) -> Unwind | None:
    """The answer that was kept."""
    content = cache.load(key, UNWIND)
    if content is None:
        return None
    try:
        kept = msgspec.msgpack.decode(content, type=Unwind)
    except msgspec.MsgspecError:
        kept = None
    if kept is None or (kept.table is not None and not is_sound(kept.table)):
        cache.remove(f"{key}.{UNWIND}")
        return None
    return kept


def store_unwind(cache: Cache, key: str, answer: Unwind) -> None:
    """Keep an answer for the next start."""
    if key:
        cache.store(key, UNWIND, _encode(answer))


def is_sound(table: UnwindTable) -> bool:
    """Whether a table is what hud.symbols.unwind.table promises, as far as a glance tells."""
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


def load_facts(cache: Cache, key: str, places: tuple[Place, ...]) -> Facts | None:
    """The facts that were kept of a module with these debug files."""
    content = cache.load(key, _kind(FACTS, places)) if key else None
    if content is None:
        return None
    try:
        return msgspec.msgpack.decode(content, type=Facts)
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{_kind(FACTS, places)}")
        return None


def store_facts(cache: Cache, key: str, places: tuple[Place, ...], answer: Facts) -> None:
    """Keep the facts of a module with these debug files for the next start."""
    if key:
        cache.store(key, _kind(FACTS, places), _encode(answer))


def load_names(cache: Cache, key: str, places: tuple[Place, ...]) -> dict[int, msgspec.Raw]:
    """Offset in the file -> its encoded frames, as far as they were kept."""
    content = cache.load(key, _kind(NAMES, places))
    if content is None:
        return {}
    try:
        return msgspec.msgpack.decode(content, type=dict[int, msgspec.Raw])
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{_kind(NAMES, places)}")
        return {}


def store_names(
    cache: Cache, key: str, places: tuple[Place, ...], names: dict[int, msgspec.Raw]
) -> None:
    """Keep the encoded frames of a module with these debug files for the next start."""
    cache.store(key, _kind(NAMES, places), _encode(names))


def load_kinds(cache: Cache, key: str, places: tuple[Place, ...]) -> KnownKinds:
    """The types of tasks that were kept of a module with these debug files."""
    content = cache.load(key, _kind(KINDS, places))
    if content is None:
        return {}
    try:
        return dict(msgspec.msgpack.decode(content, type=_Kinds))
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{_kind(KINDS, places)}")
        return {}


def store_kinds(cache: Cache, key: str, places: tuple[Place, ...], kinds: KnownKinds) -> None:
    """Keep the types of tasks of a module with these debug files for the next start."""
    cache.store(key, _kind(KINDS, places), _encode(list(kinds.items())))


def load_seams(cache: Cache, key: str) -> dict[str, KnownSpans]:
    """What is between frames whose caller is in this module, by key of the inner frame's file."""
    content = cache.load(key, SEAMS)
    if content is None:
        return {}
    try:
        return msgspec.msgpack.decode(content, type=dict[str, KnownSpans])
    except msgspec.MsgspecError:
        cache.remove(f"{key}.{SEAMS}")
        return {}


def store_seams(cache: Cache, key: str, seams: dict[str, KnownSpans]) -> None:
    """Keep what is between frames whose caller is in this module, for the next start."""
    cache.store(key, SEAMS, _encode(seams))


def state(key: str, places: tuple[Place, ...]) -> str:
    """A module as it is now with these debug files; empty where it is not kept."""
    return f"{key}.{_kind(NAMES, places)}" if key else ""


def _kind(what: str, places: tuple[Place, ...]) -> str:
    if not places:
        return what
    return f"{hashlib.sha256(repr(places).encode()).hexdigest()[:16]}.{what}"
