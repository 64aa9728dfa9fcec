"""Every kind of map on the real kernel."""

from __future__ import annotations

import errno
import os
import struct
import time

import pytest

from hud.errors import KernelError
from hud.kernel import attach, cpus, uapi
from hud.kernel.elf import parse_object
from hud.kernel.loader import load
from hud.kernel.maps import Map
from hud.kernel.ring import RingBuffer
from hud.kernel.spec import MapSpec

pytestmark = pytest.mark.kernel

WIDE = struct.Struct("<QI4x")
BOTH_WAYS = pytest.mark.parametrize("batched", [True, False], ids=["batched", "one by one"])


def key(number: int) -> bytes:
    return struct.pack("<I", number)


@pytest.fixture
def loaded(compile_bpf):
    spec = parse_object(compile_bpf("maps"), "maps")
    constants = {"target_tgid": os.getpid()}
    with load(spec, programs=["enter", "leave", "touch"], constants=constants) as made:
        yield made


def test_hash(loaded):
    table = loaded.maps["hash"]
    assert table.lookup(bytes(8)) is None
    table.update(bytes(8), WIDE.pack(1, 2))
    assert WIDE.unpack(table.lookup(bytes(8))) == (1, 2)
    with pytest.raises(FileExistsError):
        table.update(bytes(8), WIDE.pack(3, 4), uapi.BPF_NOEXIST)
    with pytest.raises(FileNotFoundError):
        table.update(b"\1" * 8, WIDE.pack(3, 4), uapi.BPF_EXIST)
    assert table.delete(bytes(8)) is True
    assert table.delete(bytes(8)) is False
    assert table.lookup(bytes(8)) is None
    for wrong in (b"", bytes(7), bytes(9)):
        with pytest.raises(ValueError, match="a key has 8 bytes"):
            table.lookup(wrong)
    with pytest.raises(ValueError, match="a value has 16 bytes"):
        table.update(bytes(8), bytes(15))


@BOTH_WAYS
@pytest.mark.parametrize("count", [0, 1, 5000, 10000])
def test_many_elements(loaded, batched, count):
    table = loaded.maps["hash"]
    wanted = {struct.pack("<Q", n * 7): WIDE.pack(n, n ^ 0xFFFF) for n in range(count)}
    table.update_batch(list(wanted), list(wanted.values()), batched=batched)
    found = list(table.items(batched=batched))
    assert len(found) == count
    assert dict(found) == wanted


def test_batch_into_a_full_map(loaded):
    table = loaded.maps["hash"]
    keys = [struct.pack("<Q", n) for n in range(10001)]
    with pytest.raises(OSError, match=None) as full:
        table.update_batch(keys, [bytes(16)] * len(keys))
    assert full.value.errno == errno.E2BIG
    with pytest.raises(ValueError, match="as many keys as values"):
        table.update_batch(keys, [])
    with pytest.raises(ValueError, match="wrong size"):
        table.update_batch([bytes(8), bytes(7)], [bytes(16)] * 2)


@BOTH_WAYS
def test_array(loaded, batched):
    array = loaded.maps["array"]
    array.update(key(99), struct.pack("<Q", 5))
    items = dict(array.items(batched=batched))
    assert len(items) == 100
    assert items[key(99)] == struct.pack("<Q", 5)
    assert items[key(0)] == bytes(8)
    assert array.lookup(key(100)) is None


@BOTH_WAYS
@pytest.mark.parametrize("name", ["percpu_hash", "percpu_array"])
def test_per_cpu(loaded, name, batched):
    table = loaded.maps[name]
    count = len(cpus.possible())
    size = table.spec.value_size
    slots = [bytes([number + 1]) * size for number in range(count)]
    stored = b"".join(slot.ljust((size + 7) // 8 * 8, b"\0") for slot in slots)
    table.update(key(1), stored)
    assert table.per_cpu(table.lookup(key(1))) == slots
    assert table.per_cpu(dict(table.items(batched=batched))[key(1)]) == slots
    table.update_batch([key(2)], [stored], batched=batched)
    assert table.per_cpu(table.lookup(key(2))) == slots


def test_lru_forgets_instead_of_refusing(loaded):
    table = loaded.maps["lru"]
    for number in range(3000):
        table.update(key(number), key(number))
    items = dict(table.items())
    assert 0 < len(items) <= 1024
    assert all(name == value for name, value in items.items())


def test_shared_memory(loaded):
    array = loaded.maps["shared"]
    array.update(key(1), WIDE.pack(10, 20))
    view = array.memory()
    assert len(view) == 3 * 16
    assert WIDE.unpack(view[16:32]) == (10, 20)
    view[32:48] = WIDE.pack(7, 8)
    assert WIDE.unpack(array.lookup(key(2))) == (7, 8)
    with pytest.raises(KernelError, match="map the memory of array"):
        loaded.maps["array"].memory()
    with pytest.raises(KernelError, match="map the memory of"):
        loaded.maps[".rodata"].memory()


def test_tail_calls_stacks_and_records_of_any_size(loaded):
    loaded.maps["parts"].set_program(1, loaded.programs["leave"].fileno())
    with RingBuffer(loaded.maps["lines"]) as ring:
        with attach.attach_raw_tracepoint(loaded.programs["enter"], "sched_switch"):
            for _ in range(30):
                time.sleep(0.001)
        lines = list(ring.records())
    before, after = loaded.variables["before"].value, loaded.variables["after"].value
    assert before == after >= 30
    text = b"a line of some length"
    assert lines == [text[: 1 + (number & 15)] for number in range(after)]
    stack = struct.unpack("<i", loaded.variables["stack"].read())[0]
    assert stack >= 0
    addresses = struct.unpack("<127Q", loaded.maps["stacks"].lookup(key(stack)))
    assert addresses[0] > 1 << 63  # a kernel address
    # Stack maps have no batches: the items come one by one.
    assert dict(loaded.maps["stacks"].items())[key(stack)] == struct.pack("<127Q", *addresses)


def test_full_ring_loses_new_records_and_recovers(loaded):
    loaded.maps["parts"].set_program(1, loaded.programs["leave"].fileno())
    with RingBuffer(loaded.maps["lines"]) as ring:
        with attach.attach_raw_tracepoint(loaded.programs["enter"], "sched_switch"):
            while loaded.variables["after"].value < 400:
                time.sleep(0.001)
        assert ring.reader.waiting() <= 4096
        first = list(ring.records())
        assert 100 < len(first) < 400
        assert ring.reader.waiting() == 0
        with attach.attach_raw_tracepoint(loaded.programs["enter"], "sched_switch"):
            time.sleep(0.01)
        assert list(ring.records())


def test_closed_map_is_no_descriptor():
    table = Map.create(MapSpec("short", uapi.BPF_MAP_TYPE_HASH, 4, 4, 1))
    with table:
        table.update(key(1), key(2))
    table.close()
    with pytest.raises(ValueError, match="closed"):
        table.lookup(key(1))
