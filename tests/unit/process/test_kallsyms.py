"""Names of kernel addresses."""

from __future__ import annotations

from pathlib import Path

from hud.process.kallsyms import KernelNames

TEXT = """ffffffff81000100 T second
ffffffff81000000 t first
ffffffff81000050 D data
ffffffffc0000000 t of_a_module\t[ext4]
"""


def names(tmp_path: Path, text: str) -> KernelNames:
    (tmp_path / "kallsyms").write_text(text)
    return KernelNames(tmp_path / "kallsyms")


def test_the_function_around_an_address(tmp_path: Path) -> None:
    found = names(tmp_path, TEXT)
    assert found.reason == ""
    assert found.find(0xFFFFFFFF81000000) == ("first", "kernel")
    assert found.find(0xFFFFFFFF810000FF) == ("first", "kernel")
    assert found.find(0xFFFFFFFF81000100) == ("second", "kernel")
    assert found.find(0xFFFFFFFFC0000010) == ("of_a_module", "ext4")
    assert found.find(0xFFFFFFFF80FFFFFF) == ("", "kernel")
    assert found.find(0xFFFFFFFFE0000000) == ("", "kernel")


def test_why_there_are_none(tmp_path: Path) -> None:
    hidden = names(tmp_path, "0000000000000000 T first\n0000000000000000 T second\n")
    assert hidden.reason == "names of kernel functions are hidden (kernel.kptr_restrict)"
    assert hidden.find(0xFFFFFFFF81000000) == ("", "kernel")
    odd = names(tmp_path, "not-a-hex-number T first\n")
    assert "cannot be read" in odd.reason
    assert "cannot be read" in KernelNames(tmp_path / "none").reason
