"""Fixtures of the tests of outboxes."""

import pytest
import pytest_asyncio
from memory_servers import LoyaltyServer, client_of

from carecloud_async.pytest_plugin.clock import FakeClock


@pytest.fixture(autouse=True)
def claims_of_its_own(tmp_path_factory, monkeypatch):
    """Each test has claims of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def server(clock):
    return LoyaltyServer(clock)


@pytest_asyncio.fixture
async def client(server, clock):
    async with client_of(server, clock) as client:
        yield client


@pytest.fixture
def path(tmp_path):
    return tmp_path / "till.db"


@pytest.fixture
async def outbox(client, path):
    """An open outbox of the client."""
    async with client.outbox(path) as outbox:
        yield outbox
