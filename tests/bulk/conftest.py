"""Fixtures of the tests of bulk writes."""

import anyio.lowlevel
import anyio.to_thread
import pytest
import pytest_asyncio
from bulk_tools import connect

from carecloud_async.sandbox import Sandbox


@pytest.fixture(autouse=True)
def registry_of_its_own(tmp_path_factory, monkeypatch):
    """Each test has a registry of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, seed=1)


@pytest_asyncio.fixture
async def client(sandbox):
    async with connect(sandbox) as client:
        yield client


@pytest.fixture
def threads_at_once(monkeypatch):
    """Run the work of threads at once, in no virtual time, so that no thread's speed changes the number of requests."""

    async def run_at_once(work, *args, **_):
        await anyio.lowlevel.checkpoint()
        return work(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", run_at_once)
