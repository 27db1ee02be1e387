"""Fixtures of the tests of bulk writes."""

import pytest
import pytest_asyncio
from bulk_tools import SOURCE, connect
from memory_servers import CustomerServer, client_of

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
def server(clock):
    return CustomerServer(clock)


@pytest.fixture
def write(server, clock):
    """Write customers to the server in bulk, by their e-mails unless told otherwise."""

    async def write(rows, *, transport=None, **options):
        async with client_of(transport or server, clock) as client:
            return await client.customers.bulk_write(rows, **{"match": "email", "defaults": SOURCE, **options})

    return write


@pytest.fixture
def results(tmp_path):
    """The file of the results."""
    return tmp_path / "r.jsonl"


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, seed=1)


@pytest_asyncio.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client
