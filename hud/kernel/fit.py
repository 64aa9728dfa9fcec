"""Fits an object to the types of one kernel: the same two give the same programs, at every start.

A fitted program needs no more than maps and constants, and to fit it again changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.errors import KernelError, ObjectError
from hud.kernel import core, uapi
from hud.kernel.btf import TYPEDEF

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.kernel.btf import Btf
    from hud.kernel.spec import ObjectSpec, ProgramSpec


def fit(spec: ObjectSpec, target: Btf | None, programs: Iterable[str]) -> ObjectSpec:
    """``spec`` with only these of its programs, made for the kernel that ``target`` describes.

    ObjectError where the object makes no sense or lacks a program, KernelError where the kernel
    lacks what it needs.
    """
    return replace(spec, programs={name: _fitted(spec, name, target) for name in programs})


def _fitted(spec: ObjectSpec, name: str, target: Btf | None) -> ProgramSpec:
    program = spec.programs.get(name)
    if program is None:
        raise ObjectError(f"object {spec.name}: no program {name}")
    if program.core:
        program = _relocated(program, spec, target)
    if program.attach_type == uapi.BPF_TRACE_RAW_TP and not program.attach_to:
        program = replace(program, attach_to=_tracepoint(program, target))
    return program


def _relocated(program: ProgramSpec, spec: ObjectSpec, target: Btf | None) -> ProgramSpec:
    if spec.btf is None:
        raise ObjectError(f"object {spec.name}: CO-RE relocations without BTF")
    instructions, poisoned = core.relocate(program, spec.btf, target)
    return replace(program, instructions=instructions, core=(), poisoned=tuple(poisoned.items()))


def _tracepoint(program: ProgramSpec, target: Btf | None) -> int:
    if target is None:
        raise KernelError(
            f"load program {program.name}: kernel types (BTF) needed",
            hint="give a BTF file of this kernel with --btf FILE",
        )
    found = target.named(f"btf_trace_{program.target}", (TYPEDEF,))
    if not found:
        raise KernelError(f"load program {program.name}: no tracepoint {program.target} here")
    return found[0]
