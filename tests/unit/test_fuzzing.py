"""Bytes that a reader did not get along with once, and those that `tools/fuzz` begins with."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "fuzz"
FILES = sorted(path.relative_to(DATA).as_posix() for path in DATA.glob("*/*"))


@pytest.fixture(scope="module")
def fuzzing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzzing", ROOT / "tools" / "fuzzing.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzzing"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("file", FILES)
def test_it_is_read_or_refused(file: str, fuzzing: ModuleType) -> None:
    began = time.process_time()
    fuzzing.TARGETS[file.split("/")[0]]((DATA / file).read_bytes())
    assert time.process_time() - began < 5


def test_each_reader_has_a_beginning(fuzzing: ModuleType) -> None:
    assert {file.split("/")[0] for file in FILES} == fuzzing.TARGETS.keys()
    text = (ROOT / "tools" / "fuzz").read_text("utf-8")
    assert repr(tuple(fuzzing.TARGETS)).replace("'", '"') in text
