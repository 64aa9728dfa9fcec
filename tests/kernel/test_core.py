"""CO-RE on the running kernel, against bpftool's reading of its BTF and the program's own reads."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hud.errors import KernelError
from hud.kernel import attach, btf, core
from hud.kernel.elf import parse_object
from hud.kernel.loader import load

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def oracle(need):
    """bpftool's dump: id -> record, and name -> struct."""
    need(shutil.which("bpftool"), "bpftool")
    dump = subprocess.run(
        ["bpftool", "--json", "btf", "dump", "file", "/sys/kernel/btf/vmlinux"],
        capture_output=True,
        check=True,
    )
    types = json.loads(dump.stdout)["types"]
    return (
        {record["id"]: record for record in types},
        {record["name"]: record for record in types if record["kind"] == "STRUCT"},
    )


def member(oracle, struct_name: str, name: str) -> dict[str, int]:
    """The member's record, ``bits_offset`` from the struct's start, anonymous members searched."""
    types, structs = oracle

    def search(record, base):
        for entry in record["members"]:
            if entry["name"] == name:
                return {**entry, "bits_offset": base + entry["bits_offset"]}
            if entry["name"] == "(anon)":
                inner = types[entry["type_id"]]
                if inner["kind"] in ("STRUCT", "UNION"):
                    found = search(inner, base + entry["bits_offset"])
                    if found:
                        return found
        return None

    found = search(structs[struct_name], 0)
    assert found, f"{struct_name}.{name}"
    return found


@pytest.fixture(scope="module")
def answers(compile_bpf):
    """What the program found, run once in a thread of this process."""
    spec = parse_object(compile_bpf("fields"), "fields")
    stop = threading.Event()
    with load(spec, programs=["answer"], btf=btf.kernel_btf()) as loaded:
        loaded.variables["target_tid"].write(threading.get_native_id())
        with attach.attach_raw_tracepoint(loaded.programs["answer"], "sched_switch"):
            for _ in range(200):
                time.sleep(0.01)
                if loaded.variables["done"].value:
                    break
        stop.set()
        assert loaded.variables["done"].value == 1
        yield {name: variable.value for name, variable in loaded.variables.items()}


def test_offsets_and_sizes(answers, oracle):
    _, structs = oracle
    task = {name: member(oracle, "task_struct", name) for name in ("pid", "tgid", "comm", "tasks")}
    assert answers["pid_offset"] == task["pid"]["bits_offset"] // 8
    assert answers["tgid_offset"] == task["tgid"]["bits_offset"] // 8
    assert answers["comm_3_offset"] == task["comm"]["bits_offset"] // 8 + 3
    assert answers["prev_offset"] == task["tasks"]["bits_offset"] // 8 + 8
    assert answers["pid_size"] == 4
    assert answers["comm_size"] == 16
    assert answers["pid_signed"] == 1
    assert answers["state_signed"] == 0
    assert answers["task_size"] == structs["task_struct"]["size"]
    assert answers["task_type"] == structs["task_struct"]["id"]


def test_nested_field_is_read(answers, oracle, need):
    need(platform.machine() == "x86_64", "x86_64: thread.fsbase")
    thread = member(oracle, "task_struct", "thread")["bits_offset"]
    fsbase = member(oracle, "thread_struct", "fsbase")["bits_offset"]
    assert answers["fsbase_offset"] == (thread + fsbase) // 8
    assert answers["fsbase_size"] == 8


def test_reads_through_relocated_fields(answers):
    assert answers["read_pid"] == threading.get_native_id()
    assert answers["read_tgid"] == os.getpid()
    if platform.machine() == "x86_64":
        # The thread pointer lies in this process' own memory.
        lines = Path("/proc/self/maps").read_text().splitlines()
        ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines]
        assert any(low <= answers["read_fsbase"] < high for low, high in ranges)


def test_existence(answers, oracle):
    _, structs = oracle
    names = {entry["name"] for entry in structs["task_struct"]["members"]}
    assert answers["state_exists"] == int("__state" in names)
    assert answers["old_state_exists"] == int("state" in names)
    assert answers["none_exists"] == 0
    assert answers["nowhere_exists"] == 0
    assert answers["guarded"] == 1


def test_bit_field(answers, oracle):
    record = member(oracle, "task_struct", "in_iowait")
    first, bits = record["bits_offset"], record["bitfield_size"]
    assert bits == 1
    offset, size = answers["iowait_offset"], answers["iowait_size"]
    assert offset % size == 0
    assert offset * 8 <= first < (offset + size) * 8
    assert answers["iowait_left"] == 64 - (first + bits - offset * 8)
    assert answers["iowait_right"] == 63


def test_enumerators(answers, oracle):
    types, _ = oracle
    values = next(
        {value["name"]: value["val"] for value in record["values"]}
        for record in types.values()
        if record["kind"] == "ENUM" and record["name"] == "pid_type"
    )
    assert answers["tgid_enum_exists"] == 1
    assert answers["tgid_enum_value"] == values["PIDTYPE_TGID"]
    assert answers["never_enum_exists"] == 0


def test_missing_field_without_a_guard_is_named(compile_bpf):
    spec = parse_object(compile_bpf("fields"), "fields")
    with pytest.raises(KernelError) as error:
        load(spec, programs=["unguarded"], btf=btf.kernel_btf())
    assert (
        str(error.value) == "load program unguarded: this kernel has no task_struct.never_was_there"
    )
    assert f"unknown#{core.POISON}" in error.value.detail


def test_no_btf(compile_bpf):
    spec = parse_object(compile_bpf("fields"), "fields")
    with pytest.raises(KernelError, match="kernel types \\(BTF\\) needed for task_struct"):
        load(spec, programs=["answer"])


def test_few_types_do_not_index_all(compile_bpf):
    """The point of the lazy index: a program's types are found in a small part of the records."""
    kernel = btf.kernel_btf()
    spec = parse_object(compile_bpf("fields"), "fields")
    assert spec.btf is not None
    core.relocate(spec.programs["answer"], spec.btf, kernel)
    looked_at = len(kernel._starts)
    kernel._index(1 << 30)
    assert looked_at < len(kernel._starts) / 4
