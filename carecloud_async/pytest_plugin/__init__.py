"""Fixtures for tests that talk to CareCloud: no network, no waiting, any failure on order.

```python
async def test_a_limited_project(carecloud_client, carecloud_sandbox, carecloud_clock):
    carecloud_sandbox.faults.add("GET /customers", status=429, retry_after=30)
    assert await carecloud_client.customers.list().total() == 1000
    assert carecloud_sandbox.count("GET /customers") == 2
    assert carecloud_clock.sleeps == [30]
```
The fixtures are not coroutines and need no event loop: they serve pytest-asyncio, anyio on asyncio and trio, and plain
tests that call `asyncio.run`. They need the `sandbox` extra.

In a suite that imports the SDK, no host but loopback can be reached while tests run, so that nothing forgotten talks
to a real project. That is decided once, when all tests are collected, and said in a line above them: it does not
depend on the order of the tests. Hosts that the suite needs for other things, its database say, are named by
`carecloud_allowed_hosts = db.internal` in pytest's configuration or by `@pytest.mark.carecloud_network("db.internal")`.

pytest loads this module in every run, so it imports nothing that costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from carecloud_async.pytest_plugin.guard import guarded, imports_the_sdk

if TYPE_CHECKING:
    from carecloud_async.calls.events import CallRecord
    from carecloud_async.client import CareCloud
    from carecloud_async.pytest_plugin.clock import FakeClock
    from carecloud_async.sandbox import Sandbox

ALLOWED_HOSTS = "carecloud_allowed_hosts"
_GUARDED = pytest.StashKey[bool]()

_MARKERS = (
    "carecloud_sandbox(**settings): settings of the carecloud_sandbox fixture, such as customers=5 or max_count=50",
    "carecloud_fault(pattern, **fault): a fault the sandbox begins with, as for Sandbox.faults.add; may be repeated",
    "carecloud_network(*hosts): let the test reach these hosts beside loopback; all, if none is named",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini option."""
    parser.addini(
        ALLOWED_HOSTS,
        "hosts that tests may reach beside loopback, or * for all (carecloud-async)",
        type="args",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(tryfirst=True)  # before the line about it is written
def pytest_collection_finish(session: pytest.Session) -> None:
    """Decide whether this run is guarded."""
    modules = {item.module for item in session.items if isinstance(item, pytest.Function) and item.module is not None}
    uses_fixtures = any(
        name.startswith("carecloud_") for item in session.items for name in getattr(item, "fixturenames", ())
    )
    session.config.stash[_GUARDED] = uses_fixtures or imports_the_sdk(modules)


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    """Say that the run is guarded, and which hosts are allowed."""
    if not config.stash.get(_GUARDED, False):
        return None
    allowed = ", ".join(["loopback", *config.getini(ALLOWED_HOSTS)])
    return f"carecloud-async: tests may reach {allowed} only ({ALLOWED_HOSTS} allows more)"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Guard the network while a test, its fixtures included, runs."""
    if not item.config.stash.get(_GUARDED, False):
        yield
        return
    marker = item.get_closest_marker("carecloud_network")
    hosts = [*item.config.getini(ALLOWED_HOSTS), *((marker.args or ("*",)) if marker is not None else ())]
    with guarded(hosts):
        yield


@pytest.fixture
def carecloud_clock() -> FakeClock:
    """The time of the sandbox and of the client: it stands until `advance(seconds)`, and sleeping takes none of it."""
    from carecloud_async.pytest_plugin.clock import FakeClock

    return FakeClock()


@pytest.fixture
def carecloud_sandbox(request: pytest.FixtureRequest, carecloud_clock: FakeClock) -> Sandbox:
    """A stand-in CareCloud of 1,000 customers: `.faults` to make it fail, `.requests` and `.count()` to see what came.

    `@pytest.mark.carecloud_sandbox(customers=5)` gives it other settings, `@pytest.mark.carecloud_fault(…)` faults.
    """
    try:
        from carecloud_async.sandbox import Sandbox
    except ImportError as error:
        raise pytest.UsageError(f"the carecloud fixtures need carecloud-async[sandbox]: {error}") from error

    settings: dict[str, Any] = {"customers": 1000, "clock": carecloud_clock.time}
    for marker in reversed(list(request.node.iter_markers("carecloud_sandbox"))):
        settings |= marker.kwargs
    sandbox = Sandbox(**settings)
    for marker in reversed(list(request.node.iter_markers("carecloud_fault"))):
        sandbox.faults.add(*marker.args, **marker.kwargs)
    return sandbox


@pytest.fixture
def carecloud_calls() -> list[CallRecord]:
    """A record of each call that the fixtures' clients made: method, path, status, attempts, error."""
    return []


@pytest.fixture
def carecloud_connect(
    carecloud_sandbox: Sandbox, carecloud_clock: FakeClock, carecloud_calls: list[CallRecord]
) -> Callable[..., CareCloud]:
    """Makes further clients of the sandbox; takes what `CareCloud` takes, `auth=carecloud_sandbox.device()` for one."""
    from random import Random

    from carecloud_async.client import CareCloud

    def connect(project_url: str = "sandbox.crmcarecloud.com", **options: Any) -> CareCloud:
        settings: dict[str, Any] = {
            "auth": carecloud_sandbox.credentials(),
            "timezone": carecloud_sandbox.settings.zone,
            "transport": carecloud_sandbox.transport(),
            "clock": carecloud_clock,
            "random": Random(1),  # noqa: S311  (jitter that is the same in every run)
            "on_call": carecloud_calls.append,
        }
        return CareCloud(project_url, **(settings | options))

    return connect


@pytest.fixture
def carecloud_client(carecloud_connect: Callable[..., CareCloud]) -> CareCloud:
    """A client of the sandbox, as its enterprise user. It calls in process and needs no closing."""
    return carecloud_connect()
