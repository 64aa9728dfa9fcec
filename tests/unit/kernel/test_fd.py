"""Descriptors have one owner; names and processors fit the kernel."""

from __future__ import annotations

import os

import pytest

from hud.errors import KernelError
from hud.kernel import syscalls
from hud.kernel.fd import Fd


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_with_closes_once():
    read, write = os.pipe()
    with Fd(read) as owned:
        assert owned.fileno() == read
        assert not owned.closed
    assert owned.closed
    assert not is_open(read)
    with pytest.raises(ValueError, match="closed"):
        owned.fileno()
    # The number may be somebody else's by now: a second close must not touch it.
    os.dup2(write, read)
    owned.close()
    assert is_open(read)
    os.close(read)
    os.close(write)


def test_forgotten_descriptor_is_closed():
    read, write = os.pipe()
    Fd(read)
    Fd(write)
    assert not is_open(read)
    assert not is_open(write)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("events", b"events"),
        ("a-name with/odd.parts", b"a_name_with_odd"),
        ("größe", b"gr__e"),
        ("exactly_sixteen_", b"exactly_sixteen"),
        ("", b""),
    ],
)
def test_object_names(name, taken):
    assert syscalls.object_name(name) == taken


def test_other_processors_are_refused(monkeypatch):
    machine = os.uname_result(("Linux", "host", "6.1.0", "", "riscv64"))
    monkeypatch.setattr(os, "uname", lambda: machine)
    syscalls._number.cache_clear()
    try:
        with pytest.raises(KernelError, match="processor riscv64 not supported") as error:
            syscalls._number("bpf")
        assert "aarch64" in error.value.hint
    finally:
        syscalls._number.cache_clear()
