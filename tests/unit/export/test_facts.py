"""What is said of a blocker below its row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.cause import Cause
from hud.analysis.results import Case, HolderUse
from hud.export import facts

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


def test_what_must_be_known_to_read_a_row(snapshot: Snapshot) -> None:
    first = snapshot.blockers[0]
    whole = first.total_ns
    blocker = replace(
        first,
        holders=(
            HolderUse("cache::refill", "src/cache.rs:88", "worker", 7, whole // 2),
            HolderUse("thread filler", "", "other thread", 0, whole // 4),
            HolderUse("third::one", "", "worker", 7, whole // 5),
            HolderUse("jobs::send", "", "pool thread", 8, whole // 6, held=False),
            HolderUse("rare::sender", "", "worker", 9, whole // 100, held=False),
        ),
        cases=(
            *first.cases,
            Case(Cause.LOCK, "std::sync::Mutex<T>::lock", whole // 4, 0),
            Case(Cause.DNS, "rare", whole // 100, 0),
        ),
        lasting=2,
        lasting_ns=7_200_000_000,
        holds=5,
    )
    assert facts.of(blocker) == [
        "src/login.rs:88",
        "2 of 240 have not ended, the longest 7.2 s so far",
        "also lock in std::sync::Mutex<T>::lock (25 % of it)",
        "held by refill src/cache.rs:88, on a worker; thread filler",
        "woken by send, on a thread of the blocking pool",
        "holds a lock that 5 polls waited for",
    ]
    assert facts.of(blocker, where=False) == facts.of(blocker)[1:]
    assert facts.of(replace(first, where="")) == []


def test_a_place_that_is_the_name_is_not_said_twice(snapshot: Snapshot) -> None:
    first = snapshot.blockers[0]
    for where in ("src/db.rs ~:31", "src/db.rs:31 (async)"):
        assert facts.place_of(replace(first, function="src/db.rs:31", where=where)) == ""
    assert facts.place_of(replace(first, where="src/a.rs ~:31")) == "src/a.rs ~:31"
    guess = HolderUse("src/db.rs:27", "src/db.rs ~:27", "worker", 7, 1, inferred=True)
    assert facts.holder_in_words(guess) == "~src/db.rs:27, on a worker"


def test_verbose_adds_tasks_files_and_times(snapshot: Snapshot) -> None:
    blocker = replace(
        snapshot.blockers[0],
        details=tuple((f"/data/{n}", 9) for n in range(5)),
        types=(("a", 3), ("b", 1)),
        behind=11.6,
        waiting_ns=1_500_000_000,
    )
    assert facts.more(blocker, snapshot)[:3] == [
        "task a 75 %, b 25 %; 12 ready tasks behind it in the worker's own queue",
        "about /data/0, /data/1, /data/2 and 2 more",
        "19 s in all, and 1.5 s without a CPU; p99 92 ms",
    ]
    assert facts.more(blocker, snapshot)[3:9] == [
        "stack, innermost first:",
        "  blowfish::Blowfish::encrypt",
        "  bcrypt::bcrypt::bcrypt",
        "  bcrypt::hash",
        "  api::login::hash_password",
        "  api::login::{async fn}",
    ]
    few = facts.more(replace(blocker, count=99), snapshot)
    assert few[2] == "19 s in all, and 1.5 s without a CPU", "the p99 would be the longest"
    assert facts.more(replace(blocker, types=(), behind=0.2, details=()), snapshot)[0] == (
        "19 s in all, and 1.5 s without a CPU; p99 92 ms"
    )
