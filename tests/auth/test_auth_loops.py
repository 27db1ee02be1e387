"""Another event loop, thread or process: it works, or it says so; it never hangs."""

import asyncio

import anyio
import pytest
import trio
from auth_tools import connect, make_sandbox, total
from forked_processes import forks, in_fork

from carecloud_async import WrongEventLoopError


async def in_time(client):
    with anyio.fail_after(60):
        return await total(client)


async def close_in_time(client):
    with anyio.fail_after(60):
        await client.aclose()


@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_a_second_event_loop_is_refused(second):
    """A client used in one loop raises in the next, also where it is closed, and does not hang; a new one does not."""
    sandbox = make_sandbox()
    client = connect(sandbox)
    assert asyncio.run(in_time(client)) == 5
    with pytest.raises(WrongEventLoopError, match="event loop"):
        anyio.run(in_time, client, backend=second)
    with pytest.raises(WrongEventLoopError):
        anyio.run(close_in_time, client, backend=second)
    assert anyio.run(in_time, connect(sandbox), backend=second) == 5


@forks
def test_a_fork_after_use_is_refused():
    """The child of a process that used the client gets WrongEventLoopError, and may make a client of its own."""
    sandbox = make_sandbox()
    client = connect(sandbox)
    asyncio.run(in_time(client))

    def work():
        with pytest.raises(WrongEventLoopError):
            asyncio.run(in_time(client))
        return str(asyncio.run(in_time(connect(sandbox))))

    assert in_fork(work) == "5"


def test_outside_of_a_loop_there_is_an_error_and_no_hang():
    """Driven by hand, a call says that no loop runs."""
    client = connect(make_sandbox())
    with pytest.raises(WrongEventLoopError, match="no event loop"):
        total(client).send(None)
    assert trio.run(in_time, client) == 5
