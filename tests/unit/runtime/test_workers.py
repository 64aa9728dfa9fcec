"""The ladder of strategies on recorded lists of threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.model import Rung, ThreadName, Worker
from hud.process.threads import list_threads
from hud.runtime.stacks import ThreadClass
from hud.runtime.workers import WorkerChoice, WorkerIds, base_name, find_workers

W, P, C = ThreadClass.WORKER, ThreadClass.POOL, ThreadClass.CURRENT_THREAD


def threads(*names: str, first: int = 100) -> list[ThreadName]:
    return [ThreadName(first + index, name) for index, name in enumerate(names)]


def tids(choice: WorkerChoice) -> list[int]:
    return [worker.tid for worker in choice.workers]


# --------------------------------------------------------------------------- --workers


def test_prefix_takes_all_that_begin_with_it() -> None:
    choice = find_workers(threads("api", "api-0", "api-1", "db-0", "db-1", "db-2"), prefix="api-")
    assert tids(choice) == [101, 102]
    assert (choice.rung, choice.reason) == (Rung.NAMES, "--workers api-")
    assert choice.workers[1] == Worker(1, 102, "api-1", "")


def test_prefix_longer_than_a_name_can_be_matches_the_cut_name() -> None:
    choice = find_workers(threads("main", "tokio-runtime-w"), prefix="tokio-runtime-worker")
    assert tids(choice) == [101]


def test_prefix_that_matches_nothing_is_not_replaced_by_a_guess() -> None:
    choice = find_workers(
        threads("main", "api-0", "api-1", "tokio-x"), prefix="apx", stack_classes={101: W}
    )
    assert choice.workers == ()
    assert choice.rung is Rung.LATENCY
    assert choice.reason == (
        'no thread\'s name begins with "apx": 4 threads, named api-0, api-1, main, tokio-x'
    )
    assert choice.suggestion == "api"


def test_prefix_leaves_out_pool_threads_unless_that_leaves_none() -> None:
    both = threads("api", "api", "api")
    choice = find_workers(both, prefix="api", stack_classes={100: W, 102: P})
    assert tids(choice) == [100, 101]
    assert choice.reason == "--workers api, 1 of the blocking pool left out by their stacks"
    assert tids(find_workers(both, prefix="api", stack_classes=dict.fromkeys(range(103), P))) == [
        100,
        101,
        102,
    ]


# --------------------------------------------------------------------------- default names


@pytest.mark.parametrize("name", ["tokio-runtime-w", "tokio-rt-worker"])
def test_default_names_of_old_and_new_tokio(name: str) -> None:
    seen = threads("server", name, name, "rayon-0", "rayon-1", "rayon-2")
    choice = find_workers(seen)
    assert tids(choice) == [101, 102]
    assert choice.rung is Rung.NAMES
    assert choice.reason == f"2 threads named {name}"


def test_pool_threads_with_the_workers_name_are_told_apart_by_stacks() -> None:
    seen = threads("server", *["tokio-rt-worker"] * 5)
    choice = find_workers(seen, stack_classes={101: W, 102: W, 104: P, 105: P})
    assert tids(choice) == [101, 102, 103]  # 103: parked, no stack seen
    assert choice.rung is Rung.STACKS
    assert choice.reason == (
        "3 threads named tokio-rt-worker, 2 of the blocking pool left out by their stacks"
    )


def test_current_thread_main_wins_over_pool_threads_with_default_names() -> None:
    seen = threads("server", "tokio-rt-worker", "tokio-rt-worker")
    choice = find_workers(seen, stack_classes={100: C, 101: P})
    assert tids(choice) == [100]
    assert choice.rung is Rung.STACKS
    assert choice.reason == "1 thread by their stacks (server)"


def test_second_runtime_with_names_of_its_own_is_added_by_its_stacks() -> None:
    seen = threads("server", "tokio-rt-worker", "tokio-rt-worker", "db-0", "db-1")
    choice = find_workers(seen, stack_classes={101: W, 102: W, 103: W, 104: W})
    assert [(worker.tid, worker.runtime) for worker in choice.workers] == [
        (101, "tokio-rt-worker"),
        (102, "tokio-rt-worker"),
        (103, "db"),
        (104, "db"),
    ]
    assert choice.reason == "2 threads named tokio-rt-worker; 2 threads more by their stacks"


def test_both_default_names_in_one_process() -> None:
    seen = threads("s", "tokio-runtime-w", "tokio-rt-worker")
    choice = find_workers(seen)
    assert {worker.runtime for worker in choice.workers} == {"tokio-runtime-w", "tokio-rt-worker"}
    assert choice.reason == "2 threads named tokio-rt-worker and tokio-runtime-w"


# --------------------------------------------------------------------------- stacks


def test_stacks_find_workers_under_any_name() -> None:
    seen = threads("server", "alpha", "beta", "gc-0", "gc-1", "gc-2")
    choice = find_workers(seen, stack_classes={101: W, 102: W, 103: P})
    assert tids(choice) == [101, 102]
    assert choice.rung is Rung.STACKS
    assert choice.reason == "2 threads by their stacks (alpha, beta)"


def test_main_of_a_current_thread_runtime() -> None:
    choice = find_workers(threads("server"), stack_classes={100: C})
    assert choice.workers == (Worker(0, 100, "server", ""),)


# --------------------------------------------------------------------------- groups


def test_largest_numbered_group() -> None:
    seen = threads("main", "small-0", "small-1", "big-0", "big-1", "big-10", "signal-handler")
    choice = find_workers(seen)
    assert tids(choice) == [103, 104, 105]
    assert (choice.rung, choice.reason) == (
        Rung.NAMES,
        "3 threads named big-N, the largest group",
    )


def test_truncated_names_are_one_group() -> None:
    seen = threads("main", "my-service-wor-", "my-service-wor-", "x-1", "x-2")
    choice = find_workers([*seen, ThreadName(90, "my-service-wor")])
    assert tids(choice) == [90, 101, 102]


def test_numbered_group_wins_over_as_many_same_names() -> None:
    assert tids(find_workers(threads("aaa", "aaa", "web-0", "web-1"))) == [102, 103]


def test_unnamed_threads_carry_the_main_threads_name_and_are_no_group() -> None:
    seen = threads("python3", "python3", "python3", "io-0", "io-1")
    assert tids(find_workers(seen, main_tid=100)) == [103, 104]
    assert find_workers(seen[:3], main_tid=100).workers == ()


def test_one_numbered_thread_is_no_group() -> None:
    choice = find_workers(threads("main", "api-0", "signal-handler"))
    assert choice.workers == ()
    assert choice.rung is Rung.LATENCY
    assert choice.reason == (
        "no thread's name looks like a worker's: 3 threads, named api-0, main, signal-handler"
    )


def test_group_of_pool_threads_is_not_taken() -> None:
    assert find_workers(threads("m", "x-0", "x-1"), stack_classes={101: P, 102: P}).workers == ()


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("my-pool-0", "my-pool"),
        ("a-b-c-99", "a-b-c"),
        ("main", "main"),
        ("signal-handler", "signal-handler"),
        ("foo-", "foo-"),
        ("foo-1bar", "foo-1bar"),
        ("-1", "-1"),
        ("a\n-1", "a\n"),
        ("x-١", "x-١"),
        ("123456789012345", "123456789012345"),
        ("12345678901234-", "12345678901234"),
    ],
)
def test_base_of_a_name(name: str, base: str) -> None:
    assert base_name(name) == base


# --------------------------------------------------------------------------- reports, numbers


def test_long_lists_of_names_are_cut_and_hostile_ones_escaped() -> None:
    seen = threads("\x1b[2J", "\udcff", *(f"thread{chr(97 + n)}" for n in range(20)))
    choice = find_workers(seen, prefix="\u202e")
    assert 'begins with "\\u202e"' in choice.reason
    assert choice.reason.endswith(" and 12 more")
    assert r"\x1b[2J, \xff" in choice.reason
    assert choice.reason.isprintable()


@given(
    st.lists(st.tuples(st.integers(1, 50), st.text(max_size=15)), max_size=12),
    st.none() | st.text(max_size=20),
)
def test_any_threads_give_a_choice_with_a_printable_reason(
    seen: list[tuple[int, str]], prefix: str | None
) -> None:
    choice = find_workers([ThreadName(*each) for each in seen], prefix=prefix)
    assert choice.reason.isprintable()
    assert (choice.rung is Rung.LATENCY) == (not choice.workers)
    assert [worker.worker_id for worker in choice.workers] == list(range(len(choice.workers)))


def test_numbers_last_through_renames_and_births() -> None:
    ids = WorkerIds()
    first = ids.number(find_workers(threads("m", "api-0", "api-1")).workers)
    assert [(worker.worker_id, worker.tid) for worker in first] == [(0, 101), (1, 102)]
    renamed = [ThreadName(90, "web-9"), ThreadName(102, "web-1"), ThreadName(101, "web-0")]
    second = ids.number(find_workers(renamed).workers)
    assert [(worker.worker_id, worker.tid, worker.name) for worker in second] == [
        (0, 101, "web-0"),
        (1, 102, "web-1"),
        (2, 90, "web-9"),
    ]
    ids.forget(102)
    third = ids.number(find_workers(renamed).workers)
    assert [(worker.worker_id, worker.tid) for worker in third] == [(0, 101), (2, 90), (3, 102)]


def test_ladder_on_a_proc_tree(tmp_path: Path) -> None:
    for tid, comm in {7: b"shop", 8: b"tokio-rt-worker", 9: b"\xff-1", 10: b"\xff-2"}.items():
        (tmp_path / f"7/task/{tid}").mkdir(parents=True)
        (tmp_path / f"7/task/{tid}/comm").write_bytes(comm + b"\n")
    assert tids(find_workers(list_threads(7, tmp_path))) == [8]
    (tmp_path / "7/task/8/comm").write_bytes(b"renamed\n")
    choice = find_workers(list_threads(7, tmp_path))
    assert tids(choice) == [9, 10]
    assert choice.reason == r"2 threads named \xff-N, the largest group"
