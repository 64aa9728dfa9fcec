"""What this kernel, these privileges and one target allow: the checks of ``hud doctor``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hud.commands import needs
from hud.errors import HudError
from hud.kernel import denied, features
from hud.kernel.btf import kernel_btf
from hud.model import Rung, Target
from hud.process.executable import open_executable, open_mapping
from hud.process.find import find_target
from hud.process.mappings import read_mappings
from hud.process.namespace import (
    container_name,
    join_initial_time_namespace,
    require_initial_pid_namespace,
)
from hud.process.threads import list_threads
from hud.profiler.detection import context as detect
from hud.profiler.naming.addresses import Addresses
from hud.profiler.naming.shared_objects import Objects
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import Answer, AskFacts, AskUnwind, Facts, Failed, Unwind
from hud.runtime.workers import find_workers
from hud.text import printable

READ_TIMEOUT_S = 30.0


class Check(NamedTuple):
    """One line."""

    ok: bool
    needed: bool
    """hud cannot run without it; what is not needed only costs something, which the text says."""
    what: str
    detail: str
    remedy: str = ""


def examine(pid: int | None, btf: Path | None) -> Iterator[Check]:
    """Every check, in order. TargetError if there is no such process."""
    target = find_target(None, pid) if pid is not None else None
    yield from _machine(btf)
    if target is not None:
        yield from _target(target)


def _machine(btf: Path | None) -> Iterator[Check]:
    system = os.uname()
    supported = system.machine in ("x86_64", "aarch64")
    yield Check(
        supported,
        True,
        f"{system.sysname} {system.release} on {system.machine}",
        "" if supported else "hud is built for x86_64 and aarch64",
    )
    yield from _privileges(needs.here())
    yield _attempt("host's pid namespace", True, require_initial_pid_namespace)
    yield _attempt("the kernel's clock", True, join_initial_time_namespace)
    yield _attempt("kernel types (BTF)", True, lambda: kernel_btf(btf))
    for feature in features.probe_all():
        if feature.name == "kernel types (BTF)":
            continue
        yield Check(feature.ok, feature.needed, feature.name, feature.detail)


def _privileges(here: needs.Here) -> Iterator[Check]:
    """In one line, if hud can run; and each row of the table that costs something."""
    missing = list(needs.missing(here))
    if here.now.missing() and not here.now.root:
        yield Check(False, True, "privileges", "not root", denied.AS_ROOT)
    elif not any(need.stops for need in missing):
        yield Check(True, True, "privileges", "all that hud needs")
    for need in missing:
        yield Check(False, need.stops, need.name, need.costs, need.remedy)


def _attempt(what: str, needed: bool, action: object) -> Check:
    assert callable(action)
    try:
        action()
    except HudError as error:
        return Check(False, needed, what, str(error), error.hint)
    return Check(True, needed, what, "")


def _target(target: Target) -> Iterator[Check]:
    where = container_name(target.pid)
    yield Check(
        True,
        True,
        f"process {target.pid} ({printable(target.name)})",
        target.executable + (f", in container {where}" if where else ""),
    )
    with Resolver() as resolver:
        try:
            descriptor = open_executable(target.pid)
        except HudError as error:
            yield Check(False, True, "its executable", str(error), error.hint)
            return
        try:
            module = resolver.add_module(descriptor, target.executable)
        finally:
            os.close(descriptor)
        answers: list[Answer] = []
        resolver.ask(AskFacts(module), answers.append)
        resolver.ask(AskUnwind(module), answers.append)
        resolver.run_until(lambda: not resolver.pending(), READ_TIMEOUT_S)
        facts = next((one for one in answers if isinstance(one, Facts)), None)
        unwind = next((one for one in answers if isinstance(one, Unwind)), None)
        trouble = next((one.message for one in answers if isinstance(one, Failed)), "")
        if facts is None:
            yield Check(False, True, "its executable", trouble or "not read in time")
            return
        objects = [] if detect.has_tokio(facts) else _objects(target, resolver)
    yield from _executable(facts, unwind)
    for shared in objects:
        yield Check(True, False, "tokio in a shared object", printable(shared.path))
    yield from _rung(target, facts, objects)


def _objects(target: Target, resolver: Resolver) -> list[detect.SharedObject]:
    """The mapped files with Tokio in them, where the executable has none."""
    addresses = Addresses(
        resolver,
        lambda mapping: open_mapping(target.pid, mapping),
        lambda: read_mappings(target.pid),
    )
    addresses.refresh()
    resolver.run_until(lambda: not addresses.modules.pending_unwind, READ_TIMEOUT_S)
    objects = Objects(resolver, addresses.modules, Notes())
    objects.ask(target.executable)
    objects.wait()
    return objects.found()


def _names(facts: Facts) -> str:
    if facts.facts.has_symtab:
        return "symbol table"
    if facts.facts.has_mini_debug:
        return "those in .gnu_debugdata"
    return "stripped: names are inferred where possible"


def _executable(facts: Facts, unwind: Unwind | None) -> Iterator[Check]:
    has = facts.facts
    yield Check(has.has_names, False, "function names", _names(facts))
    yield Check(
        has.has_dwarf,
        False,
        "file and line",
        "debug info" if has.has_dwarf else "no debug info (set debug = 1 in the profile)",
    )
    table = unwind.table if unwind is not None else None
    yield Check(
        table is not None,
        False,
        "stacks without frame pointers",
        f"{table.count} unwind rows of {table.functions} functions"
        if table is not None
        else "no unwind rules: frame pointers only",
    )


def _rung(target: Target, facts: Facts, objects: list[detect.SharedObject]) -> Iterator[Check]:
    threads = list_threads(target.pid)
    mappings = read_mappings(target.pid)
    found = detect.find_context(facts, target.pid, threads, mappings, objects)
    versions = ", ".join(facts.tokio_versions) or "version unknown"
    if isinstance(found, detect.Context):
        yield Check(True, False, "sees polls (CONTEXT)", found.detection.reason)
        return
    yield Check(False, False, "sees polls (CONTEXT)", f"tokio {versions}: {found.reason}")
    choice = find_workers(threads, main_tid=target.pid)
    best = choice.rung is not Rung.LATENCY
    yield Check(best, False, f"workers by name ({choice.rung.value})", choice.reason)
