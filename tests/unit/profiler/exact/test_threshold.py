"""``--threshold auto``: by the polls that were seen, or said why not."""

from __future__ import annotations

from hud import figures
from hud.model import BUCKETS, PollStats, bucket_floor_ns, quantile_ns
from hud.profiler.exact import threshold


def stats(*durations_us: float, times: int = 1, vtable: int = 1) -> PollStats:
    buckets = [0] * BUCKETS
    for us in durations_us:
        ns = us * 1000
        at = max(i for i in range(4, BUCKETS) if bucket_floor_ns(i) <= ns)
        buckets[at] += times
    total = sum(durations_us) * 1000 * times
    return PollStats(
        vtable, len(durations_us) * times, int(total), int(max(durations_us) * 1000), tuple(buckets)
    )


def test_three_times_p99() -> None:
    many = stats(*([100.0] * 95 + [800.0] * 5), times=10)
    found = threshold.choose([many])
    assert found is not None
    p99 = quantile_ns(many, 0.99)
    assert 0.7e6 < p99 <= 0.8e6
    assert found.threshold_ns == 3 * p99
    assert found.source == f"3 x p99 {figures.long_duration(p99)}"


def test_the_floor_is_said() -> None:
    assert threshold.choose([stats(0.9, times=1000)]) == (
        1_000_000,
        "3 x p99 900 ns, at least 1 ms",
    )
    found = threshold.choose([stats(42.0, times=1000)])
    assert found is not None
    assert (found.threshold_ns, found.source) == (1_000_000, "3 x p99 42 us, at least 1 ms")


def test_all_kinds_of_tasks_count() -> None:
    slow, fast = stats(2000.0, times=150), stats(5.0, times=150, vtable=2)
    found = threshold.choose([slow, fast])
    assert found is not None
    assert 5e6 < found.threshold_ns <= 6e6
    whole = threshold.together([slow, fast])
    assert (whole.polls, whole.max_ns) == (300, 2_000_000)


def test_too_few_polls_have_no_p99() -> None:
    assert threshold.choose([]) is None
    assert threshold.choose([stats(5.0, times=299)]) is None
    assert threshold.fallback("of this") == (5_000_000, "the default, because of this")


def test_quantiles_stay_within_their_bucket() -> None:
    one = stats(10.0, times=7)
    low = max(bucket_floor_ns(i) for i in range(BUCKETS) if bucket_floor_ns(i) <= 10_000)
    assert low <= quantile_ns(one, 0.5) <= 10_000
    assert quantile_ns(one, 1.0) == 10_000
    assert quantile_ns(threshold.together([]), 0.5) == 0
