"""An outbox in the lifespan of an application, whose file the worker before it may still have open."""

from contextlib import AsyncExitStack

import anyio
import httpx
import pytest
from clocks import Bell, FakeClock
from fastapi import FastAPI

from carecloud_async.fastapi import carecloud_lifespan, outbox_lifespan
from carecloud_async.outbox import OutboxError, OutboxInUseError

pytestmark = pytest.mark.anyio


@pytest.fixture
def start(make, tmp_path, monkeypatch):
    """Start an application whose client has a clock, with an outbox."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def start(path=None, clock=None, **options):
        lifespan = carecloud_lifespan(lambda: make(clock=clock), lifespan=outbox_lifespan(path, **options))
        return lifespan(FastAPI())

    return start


async def test_a_new_worker_waits_for_the_file_of_the_old_one(make, start, tmp_path):
    """In a rolling restart the new worker starts as soon as the old one has closed the file."""
    bell, started = Bell(), anyio.Event()

    async def work():
        async with start(tmp_path / "shop.db", bell):
            started.set()

    async with anyio.create_task_group() as group:
        async with make() as old, old.outbox(tmp_path / "shop.db"):
            group.start_soon(work)
            for _ in range(3):
                await anyio.sleep(0.01)
                bell.ring()
            assert not started.is_set()
        while not started.is_set():
            bell.ring()
            await anyio.sleep(0.01)


async def test_a_file_that_stays_open_ends_the_start(make, start, tmp_path):
    """After the time to wait the start fails and says why; with another error, or without a time, it fails at once."""
    clock = FakeClock(monotonic=0.0)
    (tmp_path / "other.db").write_text("no outbox: another file of the user, which must stay as it is")
    async with make() as old, old.outbox(tmp_path / "shop.db"):
        for name, options, error, passed in (
            ("shop.db", {}, OutboxInUseError, 20),
            ("shop.db", {"wait": 0}, OutboxInUseError, 20),
            ("other.db", {}, OutboxError, 20),
        ):
            with pytest.raises(error):
                async with start(tmp_path / name, clock, **options):
                    raise AssertionError
            assert clock.now == passed
    assert (tmp_path / "other.db").read_text().startswith("no outbox")


async def test_each_worker_takes_a_file_of_the_folder(start, tmp_path):
    """A worker takes a file that no other has open, or makes one; a file that is no outbox stays as it is."""
    folder = tmp_path / "boxes"
    async with start(folder=folder), start(folder=folder):
        assert sorted(file.name for file in folder.glob("*.db")) == ["outbox-1.db", "outbox-2.db"]
    (folder / "outbox-1.db").write_text("no outbox")
    async with start(folder=folder), start(folder=folder):
        assert sorted(file.name for file in folder.glob("*.db")) == ["outbox-1.db", "outbox-2.db", "outbox-3.db"]
    assert (folder / "outbox-1.db").read_text() == "no outbox"


async def test_what_a_worker_left_is_sent_by_another(make, start, tmp_path):
    """After four workers became three, the entries in the file that nobody opens again are sent."""
    bell = Bell()

    def away(request):
        raise httpx.ConnectError("no network")

    async with make() as client, make(transport=httpx.MockTransport(away)) as gone:
        customer = await client.customers.list().first()
        history = client.point_history.list(customer_id=customer.customer_id)
        before = await history.total()
        async with AsyncExitStack() as of_gone, AsyncExitStack() as of_other:
            outbox = await of_gone.enter_async_context(gone.outbox(tmp_path / "outbox-1.db"))
            await of_other.enter_async_context(start(folder=tmp_path, clock=bell))
            await outbox.put(gone.points.assign_points, customer_id=customer.customer_id, amount=5, reference="left")
            await of_gone.aclose()
            while await history.total() == before:
                bell.ring()
                await anyio.sleep(0.01)
