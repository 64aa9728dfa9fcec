"""A map in the kernel: lookup, update, iteration, batches and shared memory.

Keys and values are raw bytes; a value of a per-CPU map is one slot per possible CPU, each rounded
up to 8 bytes, in ascending order of the CPU numbers. Methods raise OSError where the kernel refuses
for a reason the caller may expect (E2BIG: the map is full).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from hud.closing import Closing
from hud.errors import KernelError
from hud.kernel import cpus, denied, syscalls, uapi

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hud.kernel.fd import Fd
    from hud.kernel.spec import MapSpec

PER_CPU = frozenset(
    (
        uapi.BPF_MAP_TYPE_PERCPU_HASH,
        uapi.BPF_MAP_TYPE_PERCPU_ARRAY,
        uapi.BPF_MAP_TYPE_LRU_PERCPU_HASH,
    )
)
FIRST_BATCH = 128
"""Elements of the first batch: most maps have fewer, and the memory of a batch is cleared first."""
BATCH = 4096
"""Elements per batched call at most."""

BATCH_BYTES = 4 << 20
ENOTSUPP = 524
"""include/linux/errno.h; leaks from kernels whose map type has no batch operation."""

NO_BATCH = (errno.EINVAL, ENOTSUPP, errno.EOPNOTSUPP)


class Map(Closing):
    """Owns one map; close it, or use ``with``."""

    def __init__(self, spec: MapSpec, fd: Fd) -> None:
        self.spec = spec
        self._fd = fd
        self._memory: mmap.mmap | None = None
        self._slot = (spec.value_size + 7) // 8 * 8
        per_cpu = spec.type in PER_CPU
        self._stored = self._slot * len(cpus.possible()) if per_cpu else spec.value_size

    @classmethod
    def create(cls, spec: MapSpec) -> Map:
        """Make the map; KernelError if the kernel refuses."""
        if spec.type == uapi.BPF_MAP_TYPE_RINGBUF and not _fits_ring(spec.max_entries):
            raise KernelError(
                f"create map {spec.name}: {spec.max_entries} bytes is not a power of two of pages"
            )
        try:
            fd = syscalls.map_create(
                spec.type,
                spec.key_size,
                spec.value_size,
                spec.max_entries,
                flags=spec.flags,
                name=spec.name,
            )
        except OSError as error:
            if spec.type == uapi.BPF_MAP_TYPE_RINGBUF and error.errno == errno.EINVAL:
                raise KernelError(
                    "BPF ring buffer not supported (requires Linux 5.8)",
                    hint="run a kernel of at least Linux 5.8",
                ) from error
            raise denied.refused(f"create map {spec.name}", error) from error
        return cls(spec, fd)

    # ------------------------------------------------------------------- life

    def fileno(self) -> int:
        return self._fd.fileno()

    def close(self) -> None:
        """Unmap and close; the map itself lives on while programs use it."""
        if self._memory is not None:
            # Where somebody still looks at it, the memory goes with the last view.
            with suppress(BufferError):
                self._memory.close()
            self._memory = None
        self._fd.close()

    # ------------------------------------------------------------------- elements

    def lookup(self, key: bytes) -> bytes | None:
        """The value, or None without such a key."""
        value = ctypes.create_string_buffer(self._stored)
        try:
            syscalls.map_lookup(self.fileno(), self._key(key), value)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value.raw

    def update(self, key: bytes, value: bytes, flags: int = uapi.BPF_ANY) -> None:
        """Set ``key``; BPF_NOEXIST or BPF_EXIST: OSError (EEXIST, ENOENT) if it does not fit."""
        syscalls.map_update(self.fileno(), self._key(key), self._value(value), flags)

    def delete(self, key: bytes) -> bool:
        """Remove ``key``; False if it was not there."""
        try:
            syscalls.map_delete(self.fileno(), self._key(key))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True

    def per_cpu(self, value: bytes) -> list[bytes]:
        """The slots of a per-CPU value, by ascending CPU number, without the rounding."""
        size = self.spec.value_size
        return [value[at : at + size] for at in range(0, len(value), self._slot)]

    def set_program(self, index: int, program: int) -> None:
        """Put the program with descriptor ``program`` into slot ``index`` of a program array."""
        self.update(struct.pack("<I", index), struct.pack("<I", program))

    # ------------------------------------------------------------------- many elements

    def keys(self) -> Iterator[bytes]:
        """Every key, one system call each; a map that changes meanwhile may repeat or miss some."""
        key: bytes | None = None
        following = ctypes.create_string_buffer(self.spec.key_size)
        for _ in range(2 * self.spec.max_entries + 1):
            try:
                syscalls.map_get_next_key(self.fileno(), key, following)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return
                raise
            key = following.raw
            yield key

    def items(self, *, batched: bool = True) -> Iterator[tuple[bytes, bytes]]:
        """Every (key, value): in batches where the kernel has them (and unless told not to)."""
        if batched:
            try:
                yield from self._batches()
            except OSError as error:
                if error.errno not in NO_BATCH:
                    raise
            else:
                return
        for key in self.keys():
            value = self.lookup(key)
            if value is not None:
                yield key, value

    def _batches(self) -> Iterator[tuple[bytes, bytes]]:
        width, stored = self.spec.key_size, self._stored
        most = max(1, min(BATCH, self.spec.max_entries, BATCH_BYTES // (width + stored)))
        count = min(FIRST_BATCH, most)
        cursor: ctypes.Array[ctypes.c_char] | None = None
        seen = 0
        while seen <= 2 * self.spec.max_entries:
            keys = ctypes.create_string_buffer(width * count)
            values = ctypes.create_string_buffer(stored * count)
            following = ctypes.create_string_buffer(max(width, 4))
            try:
                found, last = syscalls.map_lookup_batch(
                    self.fileno(), cursor, following, keys, values, count
                )
            except OSError as error:
                if error.errno == errno.ENOSPC and count <= self.spec.max_entries:
                    count *= 2  # one bucket of the hash holds more than that
                    continue
                raise
            names, contents = (
                ctypes.string_at(keys, found * width),
                ctypes.string_at(values, found * stored),
            )
            for number in range(found):
                yield (
                    names[number * width : (number + 1) * width],
                    contents[number * stored : (number + 1) * stored],
                )
            if last:
                return
            cursor = following
            seen += found
            count = max(count, min(4 * count, most))

    def update_batch(
        self, keys: Sequence[bytes], values: Sequence[bytes], *, batched: bool = True
    ) -> None:
        """Set many keys at once; element by element where the kernel has no batches."""
        if len(keys) != len(values):
            raise ValueError("as many keys as values")
        wide = set(map(len, keys)) - {self.spec.key_size}
        if wide or set(map(len, values)) - {self._stored}:
            raise ValueError(f"map {self.spec.name}: a key or value of the wrong size")
        at = 0
        while at < len(keys) and batched:
            part = slice(at, at + BATCH)
            count = len(keys[part])
            try:
                taken = syscalls.map_update_batch(
                    self.fileno(), b"".join(keys[part]), b"".join(values[part]), count
                )
            except OSError as error:
                if error.errno not in NO_BATCH or at:
                    raise
                break
            at += taken
            if taken != count:
                break
        for key, value in zip(keys[at:], values[at:], strict=True):
            self.update(key, value)

    # ------------------------------------------------------------------- memory

    def memory(self) -> memoryview:
        """The values of an array made with BPF_F_MMAPABLE, shared with the kernel and writable.

        Values lie ``value_size`` rounded up to 8 bytes apart. KernelError if it cannot be mapped
        (a frozen map is read-only to user space: use :meth:`lookup`).
        """
        if self._memory is None:
            size = self._slot * self.spec.max_entries
            try:
                self._memory = mmap.mmap(self.fileno(), size)
            except OSError as error:
                raise denied.refused(f"map the memory of {self.spec.name}", error) from error
            except ValueError as error:
                raise KernelError(f"map the memory of {self.spec.name}: {error}") from error
        return memoryview(self._memory)

    # ------------------------------------------------------------------- checks

    def _key(self, key: bytes) -> bytes:
        if len(key) != self.spec.key_size:
            raise ValueError(f"map {self.spec.name}: a key has {self.spec.key_size} bytes")
        return key

    def _value(self, value: bytes) -> bytes:
        if len(value) != self._stored:
            raise ValueError(f"map {self.spec.name}: a value has {self._stored} bytes")
        return value


def _fits_ring(size: int) -> bool:
    return size >= mmap.PAGESIZE and size & size - 1 == 0
