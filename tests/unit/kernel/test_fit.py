"""An object fitted to the types of one kernel, once."""

from __future__ import annotations

import pytest

from hud.errors import KernelError, ObjectError
from hud.kernel.btf import TYPEDEF, Btf
from hud.kernel.elf import parse_object
from hud.kernel.fit import fit


@pytest.fixture
def spec(prebuilt_object: bytes):
    return parse_object(prebuilt_object, "hud")


@pytest.fixture
def kernel(btf_builder) -> Btf:
    built = btf_builder()
    built.typedef("btf_trace_sched_switch", built.integer("int", 4))
    return Btf(built.bytes(), "a kernel")


def test_only_what_was_asked_for_and_to_the_end(spec, kernel):
    fitted = fit(spec, kernel, ["hud_switch"])
    (program,) = fitted.programs.values()
    before = spec.programs["hud_switch"]
    assert program.attach_to == kernel.named("btf_trace_sched_switch", (TYPEDEF,))[0]
    assert before.core
    assert not program.core
    assert program.instructions != before.instructions
    assert program.poisoned  # that kernel has no struct at all
    assert fitted.maps == spec.maps


def test_a_second_time_changes_nothing_and_needs_no_kernel(spec, kernel):
    fitted = fit(spec, kernel, ["hud_switch"])
    assert fit(fitted, None, ["hud_switch"]) == fitted


def test_a_kernel_without_the_tracepoint(spec, kernel):
    with pytest.raises(
        KernelError, match="load program hud_exit: no tracepoint sched_process_exit"
    ):
        fit(spec, kernel, ["hud_exit"])


def test_no_types_of_the_kernel(spec):
    with pytest.raises(KernelError, match="needed") as caught:
        fit(spec, None, ["hud_exit"])
    assert "--btf" in caught.value.hint


def test_a_program_that_is_not_there(spec, kernel):
    with pytest.raises(ObjectError, match="object hud: no program absent"):
        fit(spec, kernel, ["absent"])
