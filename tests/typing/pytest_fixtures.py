"""The fixtures of the pytest plugin as type checkers see them; never run."""

from __future__ import annotations

from typing import assert_type

from carecloud_async import CallRecord, CareCloud
from carecloud_async.pytest_plugin import Connect, FakeClock, HostRefusedError
from carecloud_async.sandbox import ArmedFault, Faults, RecordedRequest, Sandbox


async def test_fixtures(
    carecloud_sandbox: Sandbox,
    carecloud_client: CareCloud,
    carecloud_connect: Connect,
    carecloud_clock: FakeClock,
    carecloud_calls: list[CallRecord],
) -> None:
    """The types that the guide on tests names are those of the fixtures."""
    assert_type(carecloud_connect(auth=carecloud_sandbox.device()), CareCloud)
    assert_type(carecloud_sandbox.faults, Faults)
    assert_type(carecloud_sandbox.faults.add("GET /customers", status=503), ArmedFault)
    assert_type(carecloud_sandbox.requests[-1], RecordedRequest)
    assert_type(carecloud_clock.sleeps, list[float])
    assert_type(carecloud_calls[0].attempts, int)
    assert_type(await carecloud_client.customers.list().total(), int)
    assert issubclass(HostRefusedError, BaseException)
