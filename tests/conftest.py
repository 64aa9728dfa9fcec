"""What every test may ask for: prerequisites that skip on a laptop and fail in CI."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

# how fast examples are made says more of the machine than of the test; and a failure is of the
# change that was made, not of the day: the examples are the same each time
settings.register_profile(
    "hud", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("hud")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew, then read them"
    )
    parser.addoption(
        "--build-only",
        action="store_true",
        help="only build what the tests run",
    )


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """``need(condition, reason)``: skip without the prerequisite; where CI is set, fail."""

    def check(condition: object, reason: str) -> None:
        if condition:
            return
        if os.environ.get("CI"):
            pytest.fail(f"CI must provide: {reason}")
        pytest.skip(reason)

    return check


@pytest.fixture(autouse=True)
def _root_for_marked(request: pytest.FixtureRequest, need: Callable[[object, str], None]) -> None:
    if request.node.get_closest_marker("kernel") or request.node.get_closest_marker("e2e"):
        need(os.geteuid() == 0, "root")
