"""What the surveyed stacks and the names of the threads say."""

from __future__ import annotations

import pytest

from hud.errors import TargetError
from hud.model import Frame, Rung, Stack, ThreadName
from hud.profiler.detection.context import Refusal, classes_of, find_by_ladder, find_context
from hud.runtime.stacks import ThreadClass

WORKER = (
    "core::ops::function::FnOnce::call_once{{vtable.shim}}",
    "tokio::runtime::blocking::pool::Inner::run",
    "tokio::runtime::scheduler::multi_thread::worker::run",
    "tokio::runtime::scheduler::multi_thread::worker::Context::park",
)


def stack(*functions: str) -> Stack:
    return Stack(tuple(range(len(functions))), True, "", tuple(Frame(0, f) for f in functions))


def test_strongest_stack_of_a_thread_counts() -> None:
    found = classes_of(
        {
            1: [stack("syscall", "start"), stack(*WORKER), stack("", "main")],
            2: [stack("", "")],
            3: [Stack((1, 2), True)],
            4: [],
        }
    )
    assert found == {1: ThreadClass.WORKER}


REFUSAL = Refusal("the executable is stripped", ("1.40.0",))


def test_stacks_go_before_names() -> None:
    threads = [ThreadName(1, "app"), ThreadName(2, "tokio-runtime-w"), ThreadName(3, "x")]
    workers, detection = find_by_ladder(REFUSAL, threads, None, {3: ThreadClass.WORKER}, 1)
    assert [worker.tid for worker in workers] == [3]
    assert detection.rung is Rung.STACKS
    assert detection.reason.endswith("; polls not seen: the executable is stripped")
    assert detection.tokio_versions == ("1.40.0",)


def test_prefix_that_matches_nothing_is_an_error_with_a_remedy() -> None:
    threads = [ThreadName(1, "app"), ThreadName(2, "api-0"), ThreadName(3, "api-1")]
    with pytest.raises(TargetError) as caught:
        find_by_ladder(REFUSAL, threads, "apx", {}, 1)
    assert caught.value.hint.startswith("try --workers api")
    assert caught.value.exit_code == 3


def test_no_worker_at_all_is_the_last_rung() -> None:
    workers, detection = find_by_ladder(REFUSAL, [ThreadName(1, "app")], None, {}, 1)
    assert workers == ()
    assert detection.rung is Rung.LATENCY


def test_executable_that_cannot_be_read() -> None:
    assert find_context(None, 1, [], []) == Refusal("the executable cannot be read", ())
