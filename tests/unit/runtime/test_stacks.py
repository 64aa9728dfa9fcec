"""What kind of thread a stack is of, by the function names of all Tokio versions."""

from __future__ import annotations

import itertools

import pytest

from hud.runtime.stacks import ThreadClass, classify_stack, stronger

POOL_BOTTOM = [
    "tokio::runtime::blocking::pool::Inner::run",
    "std::sys::backtrace::__rust_begin_short_backtrace",
    "start_thread",
]
RUN = "tokio::runtime::scheduler::multi_thread::worker"


@pytest.mark.parametrize(
    "frames",
    [
        ["api::handler::{{closure}}", f"{RUN}::Context::run_task", f"{RUN}::Context::run"],
        ["epoll_wait", f"{RUN}::Context::park_timeout", f"{RUN}::run"],
        ["syscall", f"{RUN}::Context::park_internal"],
        [f"{RUN}::run::{{{{closure}}}}"],
        [f"<{RUN}::Context>::run_task"],
        ["tokio[8a1b]::runtime::scheduler::multi_thread::worker::run"],
        ["tokio::runtime::thread_pool::worker::Context::run_task"],  # 1.20
        ["tokio::runtime::scheduler::multi_thread_alt::worker::Worker::run_task"],
        [f"{RUN}::Core::steal_work"],
    ],
)
def test_worker_though_it_is_a_job_of_the_pool(frames: list[str]) -> None:
    assert classify_stack([*frames, *POOL_BOTTOM]) is ThreadClass.WORKER
    assert classify_stack(frames) is ThreadClass.WORKER


@pytest.mark.parametrize(
    "frame",
    [
        "tokio::runtime::scheduler::current_thread::CoreGuard::block_on",
        "tokio::runtime::scheduler::current_thread::Context::run_task",
        "tokio::runtime::scheduler::current_thread::CurrentThread::block_on",
        "<tokio::runtime::scheduler::current_thread::CurrentThread>::block_on::<api::main::{closure#0}>",
        "tokio::runtime::basic_scheduler::BasicScheduler::block_on",  # 1.20
        "tokio::runtime::basic_scheduler::Context::enter",
    ],
)
def test_current_thread_also_inside_a_pool_thread(frame: str) -> None:
    assert classify_stack(["f", frame, "main"]) is ThreadClass.CURRENT_THREAD
    assert classify_stack([frame, *POOL_BOTTOM]) is ThreadClass.CURRENT_THREAD


@pytest.mark.parametrize(
    "frames",
    [
        POOL_BOTTOM,
        ["<tokio::runtime::blocking::task::BlockingTask<T> as core::future::Future>::poll"],
        ["tokio::runtime::blocking::pool::Spawner::spawn_thread::{{closure}}"],
        # The worker has given its core away.
        ["sleep", "tokio::task::blocking::block_in_place", f"{RUN}::Context::run_task"],
        ["sleep", f"{RUN}::block_in_place", f"{RUN}::Context::run_task"],
    ],
)
def test_pool(frames: list[str]) -> None:
    assert classify_stack(frames) is ThreadClass.POOL


@pytest.mark.parametrize(
    "frames",
    [
        [],
        ["main"],
        # What any thread calls that spawns a task or builds a runtime.
        [f"{RUN}::Handle::schedule_task", "api::main"],
        [f"{RUN}::<impl tokio::runtime::scheduler::multi_thread::handle::Handle>::bind_new_task"],
        [f"{RUN}::Launch::launch"],
        ["tokio::runtime::blocking::pool::Spawner::spawn_blocking", "api::main"],
        ["tokio::runtime::scheduler::current_thread::Handle::spawn"],
        ["tokio::runtime::scheduler::multi_thread::MultiThread::block_on"],
        ["mytokio::runtime_scheduler::multi_thread::worker::run"],
    ],
)
def test_unknown(frames: list[str]) -> None:
    assert classify_stack(frames) is ThreadClass.UNKNOWN


def test_a_worker_in_any_of_its_stacks_is_one() -> None:
    order = [
        ThreadClass.UNKNOWN,
        ThreadClass.POOL,
        ThreadClass.CURRENT_THREAD,
        ThreadClass.WORKER,
    ]
    for low, high in itertools.pairwise(order):
        assert stronger(low, high) is high
        assert stronger(high, low) is high
