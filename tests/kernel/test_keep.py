"""Programs that were kept from an earlier start, in the running kernel."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from hud.kernel import btf, syscalls, uapi
from hud.kernel.keep import KIND, Keep
from hud.kernel.spec import ObjectSpec
from hud.probe import probe as module
from hud.probe.probe import Probe
from hud.profiler.naming.cache import Cache

pytestmark = pytest.mark.kernel

OBJECT = Path(__file__).parents[2] / "prebuilt" / f"hud-{platform.machine()}.bpf.o"


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "hud" / "modules")
    assert made
    return made


def load(store: Cache | None, *, exact: bool = False, types: Path | None = None) -> Probe:
    return Probe(
        OBJECT.read_bytes(),
        types,
        tgid=os.getpid(),
        threshold_ns=1_000_000,
        text_bytes=1 << 20,
        exact=exact,
        store=store,
    )


def tags(probe: Probe) -> dict[str, bytes]:
    """The kernel's digest of each program's instructions."""
    found = {}
    for name, program in probe._loaded.programs.items():
        info = uapi.bpf_prog_info()
        syscalls.obj_get_info(program.fileno(), info)
        found[name] = bytes(info.tag)
    return found


def entry(store: Cache) -> Path:
    assert store._directory is not None
    (path,) = store._directory.iterdir()
    return path


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing can be made afresh."""

    def fail(*_: object, **__: object) -> ObjectSpec:
        raise AssertionError("the object was read again")

    monkeypatch.setattr(module, "_fitted", fail)


@pytest.fixture(params=[False, True], ids=["plain", "exact"])
def exact(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_kept_programs_are_those_made_afresh(
    store: Cache, exact: bool, request: pytest.FixtureRequest
) -> None:
    with load(None, exact=exact) as probe:
        fresh = tags(probe)
    with load(store, exact=exact) as probe:
        first = tags(probe)
    request.getfixturevalue("unread")
    with load(store, exact=exact) as probe:
        kept = tags(probe)
        probe.config.every_thread = 1
        probe.attach(99)
        before = probe.counters.switches
        while probe.counters.switches == before:
            os.sched_yield()
    assert len(fresh) >= 4
    assert fresh == first == kept


def test_another_kernels_types_are_fitted_to(
    store: Cache, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    load(store).close()
    others = tmp_path / "others"
    others.write_bytes(btf.KERNEL_BTF.read_bytes() + b"\0")
    request.getfixturevalue("unread")
    with pytest.raises(AssertionError, match="read again"):
        load(store, types=others)
    load(store).close()


def test_what_the_kernel_refuses_is_made_afresh(store: Cache) -> None:
    """As if somebody had put another program where the kept one was, its digest right."""
    with load(store) as probe:
        good, content = tags(probe), entry(store).read_bytes()
    keep = Keep(store, OBJECT.read_bytes(), None, f"{os.uname().release} False")
    spec = keep.kept()
    assert spec is not None
    program = spec.programs["hud_exit"]
    bad = replace(program, instructions=bytes(len(program.instructions)))
    keep.keep(replace(spec, programs={**spec.programs, "hud_exit": bad}))
    assert entry(store).read_bytes() != content
    with load(store) as probe:
        assert tags(probe) == good
    assert entry(store).suffix == f".{KIND}"
    assert entry(store).read_bytes() == content
