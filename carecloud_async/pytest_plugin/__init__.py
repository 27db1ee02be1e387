"""Fixtures for tests that talk to CareCloud, without network and without waiting.

```python
async def test_a_limited_project(carecloud_client, carecloud_sandbox, carecloud_clock):
    carecloud_sandbox.faults.add("GET /customers", status=429, retry_after=30)
    assert await carecloud_client.customers.list().total() == 1000
    assert carecloud_sandbox.count("GET /customers") == 2
    assert carecloud_clock.sleeps == [30]
```
The fixtures are not coroutines and need no event loop, so they work with pytest-asyncio, with anyio on asyncio and
trio, and in tests that call `asyncio.run`. They need the extra `sandbox`. Their types, for annotations:

| fixture | type |
| --- | --- |
| `carecloud_sandbox` | `carecloud_async.sandbox.Sandbox` |
| `carecloud_client` | `carecloud_async.CareCloud` |
| `carecloud_connect` | `carecloud_async.pytest_plugin.Connect` |
| `carecloud_clock` | `carecloud_async.pytest_plugin.FakeClock` |
| `carecloud_calls` | `list[carecloud_async.CallRecord]` |

In tests the SDK calls loopback only, so that a forgotten client never talks to a real project; other connections, such
as those to a database, are left alone. `carecloud_allowed_hosts = crm.example.com` in pytest's configuration, or
`@pytest.mark.carecloud_network("crm.example.com")`, allows hosts. With `carecloud_guard = all` the whole process
reaches loopback and these hosts only.

pytest loads this module in every run, so it imports nothing that takes time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from carecloud_async.pytest_plugin.guard import GUARDED, HostRefusedError, guarded

if TYPE_CHECKING:
    from carecloud_async._calls.call.events import CallRecord
    from carecloud_async.client import CareCloud
    from carecloud_async.pytest_plugin.clock import FakeClock
    from carecloud_async.sandbox import Sandbox

__all__ = ["Connect", "FakeClock", "HostRefusedError"]

ALLOWED_HOSTS = "carecloud_allowed_hosts"
UNUSED_FAULTS = "carecloud_unused_faults"
GUARD = "carecloud_guard"

_MARKERS = (
    "carecloud_sandbox(**settings): settings of the carecloud_sandbox fixture, such as customers=5 or max_count=50",
    "carecloud_fault(pattern, **fault): add a fault to the sandbox, as Sandbox.faults.add does; may be repeated",
    "carecloud_network(*hosts): let the test's clients reach these hosts and loopback; any host, if none is named",
)


class Connect(Protocol):
    """The type of the fixture `carecloud_connect`: makes a client of the test's sandbox."""

    def __call__(self, project_url: str = "sandbox.crmcarecloud.com", **options: Any) -> CareCloud:
        """Make a client.

        Args:
            project_url: the address; the sandbox answers at any.
            **options: options of `CareCloud`, such as `auth=carecloud_sandbox.device()`. By default the client is the
                sandbox's API user and has its transport, time zone and clock.
        """
        ...


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "FakeClock":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from carecloud_async.pytest_plugin.clock import FakeClock

        return FakeClock


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini options."""
    parser.addini(
        ALLOWED_HOSTS,
        "hosts that the SDK may reach in tests besides loopback; * for all (carecloud-async)",
        type="args",
        default=[],
    )
    parser.addini(
        GUARD,
        "whose connections are refused to other hosts: sdk, or all of the process (carecloud-async)",
        default="sdk",
    )
    parser.addini(
        UNUSED_FAULTS,
        "whether a test fails if a fault of its sandbox was never used: ignore or fail (carecloud-async)",
        default="ignore",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and check the options."""
    if config.getini(UNUSED_FAULTS) not in {"ignore", "fail"}:
        raise pytest.UsageError(f"{UNUSED_FAULTS} is ignore or fail, not {config.getini(UNUSED_FAULTS)!r}")
    if config.getini(GUARD) not in GUARDED:
        raise pytest.UsageError(f"{GUARD} is {' or '.join(GUARDED)}, not {config.getini(GUARD)!r}")
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Print which hosts are allowed, if other connections than the SDK's are guarded."""
    if config.getini(GUARD) != "all":
        return None
    allowed = ", ".join(["loopback", *config.getini(ALLOWED_HOSTS)])
    return f"carecloud-async: tests may reach {allowed} only ({ALLOWED_HOSTS} allows more)"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Guard the network while a test, its fixtures included, runs."""
    marker = item.get_closest_marker("carecloud_network")
    hosts = [*item.config.getini(ALLOWED_HOSTS), *((marker.args or ("*",)) if marker is not None else ())]
    with guarded(hosts, item.config.getini(GUARD)):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that left one of its faults unused, if the configuration says so."""
    yield
    sandbox = getattr(item, "funcargs", {}).get("carecloud_sandbox")
    if sandbox is None or item.config.getini(UNUSED_FAULTS) != "fail":
        return
    try:
        sandbox.faults.assert_used()
    except AssertionError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def carecloud_clock() -> FakeClock:
    """The clock of the sandbox and of the clients: it moves only by `advance(seconds)`; sleeps take no real time."""
    from carecloud_async.pytest_plugin.clock import FakeClock

    return FakeClock()


@pytest.fixture
def carecloud_sandbox(request: pytest.FixtureRequest, carecloud_clock: FakeClock) -> Sandbox:
    """A sandbox with 1,000 customers: `.faults` makes requests fail, `.requests` and `.count()` show what was sent.

    `@pytest.mark.carecloud_sandbox(customers=5)` changes its settings, `@pytest.mark.carecloud_fault(…)` adds faults.
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
    """A record of each call of the fixtures' clients: method, path, status, attempts, error."""
    return []


@pytest.fixture
def carecloud_connect(
    carecloud_sandbox: Sandbox,
    carecloud_clock: FakeClock,
    carecloud_calls: list[CallRecord],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Connect:
    """Makes more clients of the sandbox, with the options of `CareCloud`: `auth=carecloud_sandbox.device()`.

    Each test has a folder of its own for the claims of outboxes and bulk writes.
    """
    from random import Random

    from carecloud_async.client import CareCloud

    folder = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME"
    monkeypatch.setenv(folder, str(tmp_path_factory.mktemp("carecloud-state")))

    def connect(project_url: str = "sandbox.crmcarecloud.com", **options: Any) -> CareCloud:
        settings: dict[str, Any] = {
            "auth": carecloud_sandbox.credentials(),
            "timezone": carecloud_sandbox.clock.zone,
            "transport": carecloud_sandbox.transport(),
            "clock": carecloud_clock,
            "random": Random(1),  # noqa: S311  (the same jitter in every run)
            "on_call": carecloud_calls.append,
        }
        return CareCloud(project_url, **(settings | options))

    return connect


@pytest.fixture
def carecloud_client(carecloud_connect: Connect) -> CareCloud:
    """A client of the sandbox, as its API user. It calls in process and needs no closing."""
    return carecloud_connect()
