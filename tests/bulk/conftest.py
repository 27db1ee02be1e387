"""Fixtures of the tests of bulk writes."""

import pytest
import pytest_asyncio
from bulk_tools import connect

from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.sandbox import Sandbox


@pytest.fixture(autouse=True)
def registry_of_its_own(tmp_path_factory, monkeypatch):
    """Each test has a registry of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, seed=1)


@pytest_asyncio.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client
