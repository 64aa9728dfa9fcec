"""The disk cache: what comes back, what never does, and who may own it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.profiler.naming import cache_entries
from hud.profiler.naming.cache import MAGIC, Cache
from hud.resolver.messages import Facts, Unwind
from hud.symbols.facts import ModuleFacts, UnwindTable
from hud.symbols.unwind.table import build_table


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "hud" / "modules")
    assert made
    return made


def key_of(cache: Cache, path: Path) -> str:
    with path.open("rb") as file:
        return cache.key(file.fileno())


def test_it_is_private_and_survives(cache: Cache, tmp_path: Path) -> None:
    assert (tmp_path / "hud/modules").stat().st_mode & 0o777 == 0o700
    cache.store("k", "unwind", b"one")
    cache.store("k", "unwind", b"two")
    again = Cache(tmp_path / "hud" / "modules")
    assert again.load("k", "unwind") == b"two"
    assert again.load("k", "facts") is None
    assert [path.name for path in (tmp_path / "hud/modules").iterdir()] == ["k.unwind"]
    assert (tmp_path / "hud/modules/k.unwind").stat().st_mode & 0o777 == 0o600


def test_a_key_is_a_state_of_a_file(cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(b"a" * 5000)
    first = key_of(cache, path)
    assert len(first) == 40
    assert key_of(cache, path) == first
    os.utime(path, (1, 1))
    second = key_of(cache, path)
    path.write_bytes(b"a" * 5000)
    os.utime(path, (1, 1))  # the time of change tells
    third = key_of(cache, path)
    copy = tmp_path / "copy"
    copy.write_bytes(b"a" * 5000)
    assert len({first, second, third, key_of(cache, copy)}) == 4


def test_a_copy_in_memory_goes_by_content(cache: Cache) -> None:
    keys = []
    for content in (b"vdso", b"vdso", b"other"):
        descriptor = os.memfd_create("vdso")
        os.write(descriptor, content)
        keys.append(cache.key(descriptor))
        os.close(descriptor)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: content[:50] + bytes([content[50] ^ 1]) + content[51:],
        lambda content: b"hud-mod0" + content[8:],
        lambda content: MAGIC,
        lambda content: b"",
    ],
)
def test_damage_is_removed(damage: object, cache: Cache, tmp_path: Path) -> None:
    cache.store("k", "unwind", b"payload " * 9)
    path = tmp_path / "hud/modules/k.unwind"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cache.load("k", "unwind") is None
    assert not path.exists()


def test_a_link_or_a_strangers_entry_is_not_followed(cache: Cache, tmp_path: Path) -> None:
    cache.store("k", "unwind", b"payload")
    place = tmp_path / "hud/modules"
    (place / "l.unwind").symlink_to(place / "k.unwind")
    assert cache.load("l", "unwind") is None
    (place / "k.unwind").chmod(0o666)
    assert cache.load("k", "unwind") is None
    os.mkfifo(place / "f.unwind")
    assert cache.load("f", "unwind") is None


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "hud" / "modules", limit=3000)
    for number in range(3):
        cache.store(f"{number}", "unwind", bytes(900))
        os.utime(tmp_path / f"hud/modules/{number}.unwind", (number + 1, number + 1))
    assert cache.load("0", "unwind") == bytes(900)
    cache.store("3", "unwind", bytes(900))
    left = sorted(path.name for path in (tmp_path / "hud/modules").iterdir())
    assert left == ["0.unwind", "2.unwind", "3.unwind"]
    cache.store("big", "unwind", bytes(3000))
    assert cache.load("big", "unwind") is None
    assert cache.load("3", "unwind") == bytes(900)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda place: place.parent.chmod(0o777), "hud can be written by others"),
        (lambda place: place.symlink_to("/tmp"), "modules is not a directory"),
        (lambda place: place.write_bytes(b""), "modules is not a directory"),
        (lambda place: place.parent.parent.chmod(0o777), "base can be written by others"),
    ],
)
def test_a_directory_that_is_not_trusted(prepare: object, why: str, tmp_path: Path) -> None:
    place = tmp_path / "base" / "hud" / "modules"
    place.parent.mkdir(parents=True, mode=0o700)
    prepare(place)  # type: ignore[operator]
    cache = Cache(place)
    assert not cache
    assert cache.refusal.endswith(why)
    with (tmp_path / "file").open("w+b") as file:
        assert cache.key(file.fileno()) == ""
    cache.store("k", "unwind", b"")
    assert cache.load("k", "unwind") is None
    assert cache.scratch(5) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root")
def test_a_directory_of_someone_else(tmp_path: Path) -> None:
    place = tmp_path / "modules"
    place.mkdir(mode=0o700)
    os.chown(place, 65534, 65534)
    assert Cache(place).refusal == f"{place} belongs to user 65534"


AS_A_USER = """
import os, sys
from pathlib import Path
from hud.profiler.naming.cache import Cache
os.setgid(1234), os.setuid(1234)
cache = Cache(Path(sys.argv[1]) / "modules")
print(bool(cache), cache.of_root())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root")
def test_a_users_cache_is_none_of_root(cache: Cache) -> None:
    assert cache.of_root() is cache
    assert Cache(None).of_root() is None
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, 1234, 1234)
        command = [sys.executable, "-c", AS_A_USER, place]
        root = Path(__file__).parents[4]
        assert subprocess.check_output(command, cwd=root, text=True) == "True None\n"


def test_a_whole_file(cache: Cache, tmp_path: Path) -> None:
    descriptor = cache.scratch(5)
    assert descriptor is not None
    os.write(descriptor, b"whole")
    os.close(descriptor)
    assert cache.open("debug-ab") is None
    cache.keep("debug-ab")
    kept = cache.open("debug-ab")
    assert kept is not None
    with open(kept, "rb") as file:
        assert file.read() == b"whole"


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_the_limit_holds_while_a_file_is_written(tmp_path: Path) -> None:
    """It counts as what it may become from the beginning, and other entries make room."""
    cache = Cache(tmp_path / "modules", 10_000)
    for number in range(9):
        cache.store(f"k{number}", "unwind", bytes(1000))
    assert cache.scratch(10_001) is None
    descriptor = cache.scratch(5_000)
    assert descriptor is not None
    assert size_of(tmp_path / "modules") <= 5_000
    assert cache.scratch(1) is None, "one at a time"
    os.write(descriptor, bytes(4_000))
    for number in range(9):
        cache.store(f"l{number}", "unwind", bytes(1000))
        assert size_of(tmp_path / "modules") + 1_000 <= 10_000
    os.write(descriptor, bytes(1_000))
    os.close(descriptor)
    cache.keep("debug-ab")
    assert size_of(tmp_path / "modules") <= 10_000
    assert (tmp_path / "modules/debug-ab").stat().st_size == 5_000
    cache.store("m", "unwind", bytes(3_000))
    assert cache.load("m", "unwind") == bytes(3_000), "nothing is reserved any more"


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "modules")
    descriptor = cache.scratch(5_000)
    assert descriptor is not None
    os.close(descriptor)
    cache.discard()
    assert list((tmp_path / "modules").iterdir()) == []
    assert cache.scratch(5_000) is not None


def test_what_a_killed_run_was_writing_goes_at_the_next_start(tmp_path: Path) -> None:
    place = tmp_path / "modules"
    Cache(place).store("k", "unwind", b"kept")
    gone, older = place / f".new-{(1 << 22) + 1}-abc", place / ".new-abcdefgh"
    busy = place / f".new-{os.getppid()}-abc"
    for path in (gone, older, busy):
        path.write_bytes(b"x")
    cache = Cache(place)
    assert [path.exists() for path in (gone, older, busy)] == [False, False, True]
    assert cache.load("k", "unwind") == b"kept"


# --------------------------------------------------------------------------- what is kept

TABLE = build_table(b"", 0x1000, base=0x1000)
SEGMENTS = [(0x1000, 0, 0x500), (0x3000, 0x2000, 0x800)]


def test_an_unwind_table_comes_back(cache: Cache) -> None:
    reply = Unwind(SEGMENTS, TABLE, "a note", "abcd", "x.debug", True)
    cache_entries.store_unwind(cache, "k", reply)
    known = cache_entries.load_unwind(cache, "k")
    assert known == Unwind(SEGMENTS, TABLE, "a note", "abcd", "x.debug", True)
    cache_entries.store_unwind(cache, "n", Unwind([], None, "no .eh_frame"))
    assert cache_entries.load_unwind(cache, "n") == Unwind([], None, "no .eh_frame")
    assert cache_entries.load_unwind(cache, "absent") is None


def test_a_table_that_does_not_hold_together(cache: Cache, tmp_path: Path) -> None:
    good = UnwindTable(
        base=0,
        rows=b"".join(n.to_bytes(4, "little") for n in (0, 0, 0x10, 1, 0x110, 0)),
        buckets=b"".join(n.to_bytes(4, "little") for n in (0, 1, 2)),
        count=3,
        functions=1,
        unsupported=0,
    )
    assert cache_entries.is_sound(good)
    for change in (
        {"count": 2},
        {"rows": b""},
        {"rows": good.rows[8:] + bytes(8)},
        {"rows": good.rows[:-4] + b"\1\0\0\0"},
        {"buckets": good.buckets[:-4]},
        {"buckets": good.buckets[:-1]},
        {"buckets": good.buckets[:-4] + b"\3\0\0\0"},
        {"buckets": good.buckets[4:] + bytes(4)},
    ):
        fields = {name: getattr(good, name) for name in good.__slots__}
        bad = UnwindTable(**{**fields, **change})  # type: ignore[arg-type]
        assert not cache_entries.is_sound(bad), change
        cache_entries.store_unwind(cache, "k", Unwind([], bad, ""))
        assert cache_entries.load_unwind(cache, "k") is None
        assert not (tmp_path / "hud/modules/k.unwind").exists()


@settings(max_examples=200, deadline=None)
@given(rows=st.binary(max_size=64), buckets=st.binary(max_size=64), count=st.integers(0, 9))
def test_any_table_is_judged(rows: bytes, buckets: bytes, count: int) -> None:
    sound = cache_entries.is_sound(UnwindTable(0, rows, buckets, count, 0, 0))
    assert not sound or (len(rows) == 8 * count and max(buckets[::4]) < count)


def test_facts_come_back_with_the_same_debug_files_only(cache: Cache) -> None:
    facts = ModuleFacts(
        *("app", "abcd", "x86_64", True, ((0, 0, 1, 5),), None, (("C", 1, 2),)),
        *(True, False, (4, 5), True, "", ("a note",)),
    )
    reply = Facts(facts, {"tokio": "1.47.1"}, ("1.47.1",))
    place = (1, 2, 3, 4)
    cache_entries.store_facts(cache, "k", (place,), reply)
    assert cache_entries.load_facts(cache, "k", ()) is None
    assert cache_entries.load_facts(cache, "k", (place,)) == Facts(
        facts, {"tokio": "1.47.1"}, ("1.47.1",)
    )
    cache.store("k", "facts", b"\x93\x01\x02\x03")
    assert cache_entries.load_facts(cache, "k", ()) is None
    assert cache_entries.load_facts(cache, "", ()) is None
