"""Rows that are given to a writer outside its block, and while the block ends."""

import asyncio

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from bulk_tools import SOURCE, connect, people
from kit import through
from memory_servers import CustomerServer, client_of

from carecloud_async.bulk import BulkWriteError
from carecloud_async.errors import WrongEventLoopError

pytestmark = pytest.mark.anyio

#: After this a row is taken to wait forever (seconds).
SECONDS = 30


@pytest.mark.parametrize("entered", [False, True])
async def test_a_writer_outside_its_block_refuses_rows(clock, entered):
    """A writer raises before its block and after it, and says where to write."""
    async with client_of(CustomerServer(clock), clock) as client:
        writer = client.customers.bulk_writer(match="email", defaults=SOURCE)
        if entered:
            async with writer:
                pass
        with anyio.fail_after(SECONDS), pytest.raises(BulkWriteError, match="async with"):
            await writer.write(people(1)[0])


async def test_a_writer_refuses_rows_of_another_event_loop(clock):
    """A thread with an event loop of its own is refused at once: it would wait for the outcome without end."""
    async with (
        client_of(CustomerServer(clock), clock) as client,
        client.customers.bulk_writer(match="email", defaults=SOURCE) as writer,
    ):
        with pytest.raises(WrongEventLoopError):
            await anyio.to_thread.run_sync(lambda: asyncio.run(writer.write(people(1)[0])))


async def test_a_writer_whose_block_ends_takes_no_more_rows(clock):
    """A row that is given while the block waits for earlier rows is an error; the earlier rows have their outcomes."""
    server, first, second = CustomerServer(clock), *people(2)
    outcomes, errors, posted = [], [], anyio.Event()

    async def write_second(request):
        if request.method == "POST" and request.url.path.endswith("/customers"):
            posted.set()
            await wait_all_tasks_blocked()  # the block has ended and waits for this row
            try:
                with anyio.fail_after(SECONDS):
                    await writer.write(second)
            except (BulkWriteError, TimeoutError) as error:
                errors.append(str(error))

    server.arrived = write_second
    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:

        async def write_first():
            outcomes.append((await writer.write(first)).outcome)

        writer = client.customers.bulk_writer(match="email", defaults=SOURCE)
        async with writer:
            tasks.start_soon(write_first)
            await posted.wait()
    assert outcomes == ["created"]
    assert errors == ["the bulk writer is not open: write inside its `async with` block"]
    assert list(server.emails()) == [first["email"]]


async def test_a_row_whose_names_are_read_while_the_block_ends_is_an_error(sandbox):
    """A row whose names of properties arrive after the block has ended is refused; its task does not wait forever."""
    asked, over, errors = anyio.Event(), anyio.Event(), []

    async def wait(request):
        if "propert" in request.url.path and not asked.is_set():
            asked.set()
            await over.wait()

    async def write():
        try:
            with anyio.fail_after(SECONDS):
                await writer.write({"email": "a@example.com", f"property.{name}": "1"})
        except (BulkWriteError, TimeoutError) as error:
            errors.append(str(error))

    name = sandbox.records("customer-properties").ids()[0]
    async with connect(sandbox, transport=through(sandbox, wait)) as client, anyio.create_task_group() as tasks:
        async with client.customers.bulk_writer(match="email") as writer:
            tasks.start_soon(write)
            await asked.wait()
        over.set()
    assert errors == ["the bulk writer is not open: write inside its `async with` block"]
