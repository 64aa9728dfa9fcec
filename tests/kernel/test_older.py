"""The programs without the helpers that older kernels lack, on a kernel that has them.

The kernel's types say which helpers it has, so that types without their names make a program go the
other way. A helper that is called all the same would be refused: its name here is another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from polling import OBJECT, Ran, started

from hud.kernel import attach, btf, loader
from hud.kernel.btf import KERNEL_BTF, Btf
from hud.kernel.elf import parse_object
from hud.model import Kind, Sample
from hud.probe.probe import PROGRAMS
from hud.process.mappings import read_mappings

pytestmark = pytest.mark.kernel

NEWER = (b"BPF_FUNC_get_task_stack", b"BPF_FUNC_get_current_task_btf", b"BPF_FUNC_task_pt_regs")
HELPERS = {number.to_bytes(4, "little") for number in (141, 158, 174, 175)}
"""The numbers of these and of bpf_get_attach_cookie, in whose place there are programs."""
SIZES = {"rows": 16, "buckets": 16}
MAIN = PROGRAMS


def older_types() -> Btf:
    data = KERNEL_BTF.read_bytes()
    for name in NEWER:
        assert data.count(b"\0" + name + b"\0") == 1
        data = data.replace(b"\0" + name + b"\0", b"\0" + name.swapcase() + b"\0")
    return Btf(data, "older")


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Btf:
    """Probes are loaded for such a kernel from here on."""
    types = older_types()
    monkeypatch.setattr(btf, "kernel_btf", lambda _path: types)
    monkeypatch.setattr(attach, "uprobe_multi_works", lambda _release: False)
    return types


def test_the_kernel_sees_no_call_of_them(older: Btf) -> None:
    """With their numbers made wrong the programs load: no such call is reached."""
    spec = parse_object(OBJECT.read_bytes(), "hud")
    broken = {}
    calls = 0
    for name in (*MAIN, "hud_running", "hud_idle", "hud_complete", "hud_poll", "hud_poll_return"):
        program = spec.programs[name]
        code = bytearray(program.instructions)
        for at in range(0, len(code), 8):
            if code[at] == 0x85 and code[at + 1] == 0 and bytes(code[at + 4 : at + 8]) in HELPERS:
                code[at + 4 : at + 8] = (1 << 20).to_bytes(4, "little")
                calls += 1
        broken[name] = replace(program, instructions=bytes(code))
    assert calls > 5
    changed = replace(spec, programs={**spec.programs, **broken})
    with loader.load(changed, programs=tuple(broken), map_entries=SIZES, btf=older) as loaded:
        assert loaded.programs.keys() == broken.keys()


def test_atomic_operations_are_those_of_the_first_kernels() -> None:
    """Others than an addition without a result are refused before Linux 5.12, reached or not."""
    spec = parse_object(OBJECT.read_bytes(), "hud")
    found = [
        program.instructions[at + 4 : at + 8]
        for program in spec.programs.values()
        for at in range(0, len(program.instructions), 8)
        if program.instructions[at] in (0xC3, 0xDB)
    ]
    assert len(found) > 20
    assert set(found) == {bytes(4)}


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize(("work", "kind"), [("sleep", Kind.SLEEP), ("spin", Kind.CPU)])
def test_polls_and_where_they_are(program: Path, work: str, kind: Kind) -> None:
    samples: list[Sample] = []

    def seen(kind: Kind) -> list[Sample]:
        return [sample for sample in samples if sample.kind == kind]

    with started(program, work, 12_000) as (process, probe):
        end = time.monotonic() + 20
        while len(seen(kind)) < 30 or len(seen(Kind.POLL)) < 30:
            assert time.monotonic() < end
            samples += probe.events()
            time.sleep(0.02)
        keys = {sample.stack for sample in seen(kind) if sample.stack}
        places = [stack.addresses[0] for key in keys if (stack := probe.stack(key))]
        code = [one for one in read_mappings(process.pid) if one.executable]
    assert places
    assert all(any(one.start <= place < one.end for one in code) for place in places)
    polls = seen(Kind.POLL)
    assert len({sample.task_id for sample in polls}) == len(polls)
    assert {sample.info for sample in seen(Kind.SLEEP)} <= {35, 230}  # both kinds of nanosleep


@pytest.mark.usefixtures("older")
def test_who_wakes_a_sleeper(run: Callable[[str, int], Ran]) -> None:
    wakes = run("futex", 12_000, "-").of(Kind.WAKE)
    assert len(wakes) > 10
    assert all(wake.stack for wake in wakes[:2])
