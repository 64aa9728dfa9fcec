"""Brings a spec into the kernel: creates its maps, fills in constants, loads its programs.

Loaded objects own descriptors; closing them, or any error on the way, leaves nothing in the kernel
but what a link still holds. A constant is a variable whose first value the caller sets before the
kernel sees it; those in .rodata are fixed from then on, and the verifier drops the code that they
make unreachable.
"""

from __future__ import annotations

import ctypes
import errno
import re
import struct
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.closing import Closing
from hud.errors import KernelError, ObjectError
from hud.kernel import denied, syscalls, uapi
from hud.kernel.fit import fit
from hud.kernel.maps import Map

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hud.kernel.btf import Btf
    from hud.kernel.fd import Fd
    from hud.kernel.spec import MapSpec, ObjectSpec, ProgramSpec
    from hud.kernel.spec import Variable as VariableSpec

FIRST_LOG = 64 << 10
LARGEST_LOG = 16 << 20
LAST_LINES = 40
"""Of the verifier's log, in the detail of an error."""


class Program:
    """Owns one loaded program."""

    def __init__(self, spec: ProgramSpec, fd: Fd) -> None:
        self.spec = spec
        self._fd = fd

    def fileno(self) -> int:
        return self._fd.fileno()

    def close(self) -> None:
        self._fd.close()

    def id(self) -> int:
        """The number by which bpftool knows it."""
        info = uapi.bpf_prog_info()
        syscalls.obj_get_info(self.fileno(), info)
        return int(info.id)

    def runs(self) -> tuple[int, int]:
        """(nanoseconds, runs) since it was loaded, while ``syscalls.enable_stats`` is in force."""
        info = uapi.bpf_prog_info()
        syscalls.obj_get_info(self.fileno(), info)
        return int(info.run_time_ns), int(info.run_cnt)


class SharedVariable:
    """A global variable of .data or .bss, shared with the running programs; .rodata: read only."""

    def __init__(self, spec: VariableSpec, home: Map) -> None:
        self.spec = spec
        self._home = home

    def read(self) -> bytes:
        """Its bytes now."""
        start, end = self.spec.offset, self.spec.offset + self.spec.size
        if self._home.spec.read_only:
            return (self._home.lookup(bytes(4)) or b"")[start:end]
        return bytes(self._home.memory()[start:end])

    def write(self, value: int | bytes) -> None:
        """Set it; ObjectError if the value does not fit or the variable is read-only."""
        if self._home.spec.read_only:
            raise ObjectError(f"variable {self.spec.name}: read-only once loaded")
        start, end = self.spec.offset, self.spec.offset + self.spec.size
        self._home.memory()[start:end] = encode(self.spec, value)

    def memory(self) -> memoryview:
        """Its bytes, mapped: stores are seen by the programs at once. Not for .rodata."""
        return self._home.memory()[self.spec.offset : self.spec.offset + self.spec.size]

    @property
    def value(self) -> int:
        """As an unsigned little-endian number."""
        return int.from_bytes(self.read(), "little")


class LoadedObject(Closing):
    """What :func:`load` made; close it, or use ``with``."""

    def __init__(
        self,
        maps: Mapping[str, Map],
        programs: Mapping[str, Program],
        variables: Mapping[str, SharedVariable],
        owned: ExitStack,
    ) -> None:
        self.maps = maps
        self.programs = programs
        self.variables = variables
        self._owned = owned

    def close(self) -> None:
        """Close every program, then every map."""
        self._owned.close()


def load(
    spec: ObjectSpec,
    *,
    programs: Collection[str] | None = None,
    constants: Mapping[str, int | bytes] | None = None,
    map_entries: Mapping[str, int] | None = None,
    btf: Btf | None = None,
) -> LoadedObject:
    """Load ``programs`` (None: all) of ``spec`` and every map they use.

    ``constants`` sets variables by name (a number is encoded in the variable's width),
    ``map_entries`` overrides ``max_entries``; a map of size 0 that nobody sizes is refused. ``btf``
    is needed for programs that depend on the kernel's types and are not fitted to them yet.
    ObjectError for a name that the object does not have, KernelError for everything that the kernel
    refuses; then nothing stays loaded.
    """
    contents = _contents(spec, constants or {})
    sizes = dict(map_entries or {})
    for name in sizes:
        if name not in spec.maps:
            raise ObjectError(f"object {spec.name}: no map {name}")
    spec = fit(spec, btf, spec.programs if programs is None else programs)
    chosen = spec.programs.values()
    needed = {reference.map for program in chosen for reference in program.references}
    with ExitStack() as owned:
        maps = {}
        for name in sorted(needed):
            plan = spec.maps[name]
            plan = replace(
                plan,
                max_entries=sizes.get(name, plan.max_entries),
                contents=contents.get(name, plan.contents),
            )
            maps[name] = owned.enter_context(_create(plan, spec))
        loaded = {}
        types: Fd | None = None
        for program in chosen:
            if types is None and len(program.functions) > 1 and spec.btf is not None:
                types = owned.enter_context(_load_types(spec.btf))
            fd = _load_program(program, spec, _with_maps(program, maps), types)
            loaded[program.name] = Program(program, owned.enter_context(fd))
        variables = {
            name: SharedVariable(variable, maps[variable.map])
            for name, variable in spec.variables.items()
            if variable.map in maps
        }
        return LoadedObject(maps, loaded, variables, owned.pop_all())


def encode(variable: VariableSpec, value: int | bytes) -> bytes:
    """``value`` in the variable's size; ObjectError if it does not fit."""
    if isinstance(value, int):
        try:
            return value.to_bytes(variable.size, "little", signed=value < 0)
        except OverflowError:
            raise ObjectError(
                f"variable {variable.name}: {value} does not fit in {variable.size} bytes"
            ) from None
    if len(value) != variable.size:
        raise ObjectError(
            f"variable {variable.name}: {len(value)} bytes given, it has {variable.size}"
        )
    return value


def _contents(spec: ObjectSpec, constants: Mapping[str, int | bytes]) -> dict[str, bytes]:
    """The data maps whose first values the constants change."""
    changed: dict[str, bytearray] = {}
    for name, value in constants.items():
        variable = spec.variables.get(name)
        if variable is None:
            raise ObjectError(f"object {spec.name}: no variable {name}")
        data = changed.setdefault(variable.map, bytearray(spec.maps[variable.map].contents or b""))
        data[variable.offset : variable.offset + variable.size] = encode(variable, value)
    return {name: bytes(data) for name, data in changed.items()}


# --------------------------------------------------------------------------- maps


def _create(plan: MapSpec, spec: ObjectSpec) -> Map:
    label = f"{spec.name.partition('.')[0][:8]}{plan.name}" if plan.contents is not None else ""
    made = Map.create(replace(plan, name=label) if label else plan)
    made.spec = plan
    try:
        if plan.contents is not None:
            made.update(bytes(4), plan.contents)
            if plan.read_only:
                syscalls.map_freeze(made.fileno())
    except OSError as error:
        made.close()
        raise denied.refused(f"fill map {plan.name}", error) from error
    return made


# --------------------------------------------------------------------------- programs


def _with_maps(program: ProgramSpec, maps: Mapping[str, Map]) -> bytes:
    """Its instructions, with the descriptors of these maps."""
    code = bytearray(program.instructions)
    for reference in program.references:
        at = reference.index * 8
        pseudo = uapi.BPF_PSEUDO_MAP_FD if reference.offset is None else uapi.BPF_PSEUDO_MAP_VALUE
        code[at + 1] = code[at + 1] & 0x0F | pseudo << 4
        struct.pack_into("<I", code, at + 4, maps[reference.map].fileno())
        struct.pack_into("<I", code, at + 12, reference.offset or 0)
    return bytes(code)


def _load_types(types: Btf) -> Fd:
    try:
        return syscalls.btf_load(types.loadable())
    except OSError as error:
        raise denied.refused("load the object's types", error) from error


def _load_program(
    program: ProgramSpec, spec: ObjectSpec, instructions: bytes, types: Fd | None
) -> Fd:
    attach_to = syscalls.AttachTo(program.attach_type, program.attach_to)
    functions: syscalls.Functions | None = None
    if types is not None and len(program.functions) > 1:
        records = b"".join(struct.pack("<II", *function) for function in program.functions)
        functions = syscalls.Functions(types.fileno(), records)

    def attempt(log: ctypes.Array[ctypes.c_char] | None) -> Fd:
        return syscalls.prog_load(
            program.type,
            instructions,
            spec.license,
            name=program.name,
            attach_to=attach_to,
            functions=functions,
            log=log,
        )

    try:
        return attempt(None)
    except OSError as error:
        first = error
    if first.errno in (errno.EFAULT, errno.ENOMEM, errno.ENOSYS):
        raise denied.refused(f"load program {program.name}", first) from first
    size = FIRST_LOG
    while True:
        log = ctypes.create_string_buffer(size)
        try:
            return attempt(log)
        except OSError as error:
            if error.errno == errno.ENOSPC and size < LARGEST_LOG:
                size *= 4
                continue
            raise rejected(program.name, first, log.value, dict(program.poisoned)) from error


def rejected(
    name: str, error: OSError, log: bytes, poisoned: Mapping[int, str] | None = None
) -> KernelError:
    """The error for a program that the kernel refused, with the end of the verifier's ``log``."""
    lines = log.decode("utf-8", "replace").splitlines()
    if not lines or (error.errno == errno.EPERM and len(lines) < 2):
        return denied.refused(f"load program {name}", error)
    detail = "\n".join(lines[-LAST_LINES:])
    for number in re.findall(r"(?:unknown|func)#(\d+)", detail):
        field = (poisoned or {}).get(int(number))
        if field:
            return KernelError(
                f"load program {name}: this kernel has no {field}",
                hint="the kernel is too old or too new for this version of hud",
                detail=detail,
            )
    said = [line for line in lines if line and not line.startswith(("processed ", "verification "))]
    return KernelError(
        f"load program {name}: rejected by the verifier: {said[-1] if said else lines[-1]}",
        hint="please report it with the output of --verbose",
        detail=detail,
    )
