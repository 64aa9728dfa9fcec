"""What is kept of an object for the next start: the same again, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hud.kernel import keep
from hud.kernel.btf import Btf
from hud.kernel.elf import parse_object
from hud.kernel.fit import fit
from hud.kernel.keep import KIND, Keep
from hud.kernel.spec import CoreRelocation, ObjectSpec
from hud.profiler.naming.cache import Cache

PROGRAMS = ("hud_switch", "hud_waking", "hud_exit", "hud_sample")


@pytest.fixture
def types(btf_builder, tmp_path: Path) -> Path:
    """A kernel that has nothing but the tracepoints."""
    built = btf_builder()
    for name in ("sched_switch", "sched_waking", "sched_process_exit"):
        built.typedef(f"btf_trace_{name}", built.integer("int", 4))
    path = tmp_path / "vmlinux"
    path.write_bytes(built.bytes())
    return path


@pytest.fixture
def fitted(prebuilt_object: bytes, types: Path) -> ObjectSpec:
    return fit(parse_object(prebuilt_object, "hud"), Btf(types.read_bytes(), "it"), PROGRAMS)


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "hud" / "modules")


def plain(spec: ObjectSpec | None) -> tuple[object, ...]:
    assert spec is not None
    assert spec.btf is not None
    return replace(spec, btf=None), spec.btf.data


def entries(store: Cache) -> list[Path]:
    assert store._directory is not None
    return list(store._directory.iterdir())


def test_what_comes_back_is_what_was_stored(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec
) -> None:
    assert any(program.poisoned for program in fitted.programs.values())
    Keep(store, prebuilt_object, types, "x").keep(fitted)
    assert plain(Keep(store, prebuilt_object, types, "x").kept()) == plain(fitted)
    assert [path.suffix for path in entries(store)] == [f".{KIND}"]


def test_another_object_kernel_or_variant_is_not_found(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec, tmp_path: Path
) -> None:
    Keep(store, prebuilt_object, types, "x").keep(fitted)
    other = tmp_path / "other"
    content = types.read_bytes()
    other.write_bytes(content[:-1] + b"\1")  # its very last byte
    assert Keep(store, prebuilt_object[:-1] + b"\1", types, "x").kept() is None
    assert Keep(store, prebuilt_object, other, "x").kept() is None
    assert Keep(store, prebuilt_object, types, "y").kept() is None
    other.write_bytes(content)
    assert plain(Keep(store, prebuilt_object, other, "x").kept()) == plain(fitted)


def test_what_other_sources_made_is_not_found(
    store: Cache,
    prebuilt_object: bytes,
    types: Path,
    fitted: ObjectSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "keep.py"
    monkeypatch.setattr(keep, "__file__", str(source))
    source.write_text("one = 1")
    Keep(store, prebuilt_object, types, "x").keep(fitted)
    assert Keep(store, prebuilt_object, types, "x").kept() is not None
    source.write_text("one = 2")
    assert Keep(store, prebuilt_object, types, "x").kept() is None


def test_types_longer_than_a_piece_count_to_their_end(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec
) -> None:
    long = types.read_bytes() + bytes(2 * keep.PIECE)
    types.write_bytes(long)
    Keep(store, prebuilt_object, types, "x").keep(fitted)
    types.write_bytes(long[:-1] + b"\1")
    assert Keep(store, prebuilt_object, types, "x").kept() is None
    types.write_bytes(long[:-1])
    assert Keep(store, prebuilt_object, types, "x").kept() is None


@pytest.mark.parametrize("content", [b"\x7fELF and much else", b"", None])
def test_without_types_of_their_own_nothing_is_kept(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec, content: bytes | None
) -> None:
    types.unlink() if content is None else types.write_bytes(content)
    one = Keep(store, prebuilt_object, types, "x")
    one.keep(fitted)
    assert one.kept() is None
    assert entries(store) == []


def test_without_a_store_nothing_is_kept(
    prebuilt_object: bytes, types: Path, fitted: ObjectSpec
) -> None:
    one = Keep(None, prebuilt_object, types, "x")
    one.keep(fitted)
    assert one.kept() is None


def forged(fitted: ObjectSpec, *, index: int = -1, home: str = "", core: bool = False) -> bytes:
    """A stored object whose hud_exit was changed."""
    program = fitted.programs["hud_exit"]
    first, *rest = program.references
    first = replace(first, index=first.index if index < 0 else index, map=home or first.map)
    program = replace(program, references=(first, *rest))
    if core:
        program = replace(program, core=(CoreRelocation(0, 0, 1, "0"),))
    programs = [program if one.name == "hud_exit" else one for one in fitted.programs.values()]
    assert fitted.btf is not None
    return msgspec.msgpack.encode(
        keep.Kept(
            fitted.name,
            fitted.license,
            programs,
            list(fitted.maps.values()),
            list(fitted.variables.values()),
            fitted.btf.data,
        )
    )


def test_a_forged_entry_that_is_sound_is_taken(fitted: ObjectSpec) -> None:
    kept = msgspec.msgpack.decode(forged(fitted), type=keep.Kept)
    assert plain(kept.spec()) == plain(fitted)


@pytest.mark.parametrize(
    "made",
    [
        lambda fitted: b"",
        lambda fitted: b"\xc1" * 64,
        lambda fitted: msgspec.msgpack.encode({"name": "hud"}),
        lambda fitted: forged(fitted)[:-1],
        lambda fitted: forged(fitted, home="nowhere"),
        lambda fitted: forged(fitted, index=1 << 20),
        lambda fitted: forged(fitted, index=len(fitted.programs["hud_exit"].instructions) // 8 - 1),
        lambda fitted: forged(fitted, core=True),
        lambda fitted: forged(replace(fitted, maps={})),
        lambda fitted: forged(replace(fitted, btf=Btf(fitted.btf.data, ""))).replace(
            fitted.btf.data, bytes(len(fitted.btf.data))
        ),
    ],
)
def test_what_is_no_object_of_ours_is_removed(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec, made
) -> None:
    one = Keep(store, prebuilt_object, types, "x")
    one.keep(fitted)
    (path,) = entries(store)
    store.store(path.stem, KIND, made(fitted))  # its digest is right
    assert one.kept() is None
    assert entries(store) == []


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_damaged_entry_is_removed(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec, at: int
) -> None:
    one = Keep(store, prebuilt_object, types, "x")
    one.keep(fitted)
    (path,) = entries(store)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert one.kept() is None
    assert entries(store) == []


def test_what_was_of_no_use_is_forgotten(
    store: Cache, prebuilt_object: bytes, types: Path, fitted: ObjectSpec
) -> None:
    one = Keep(store, prebuilt_object, types, "x")
    one.keep(fitted)
    one.forget()
    assert entries(store) == []
