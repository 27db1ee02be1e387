"""Large answers are decoded in turns: never two in one pass of the event loop, and judged as small ones are."""

import json

import anyio
import pytest
from anyio.lowlevel import checkpoint
from kit import InTurn, KnownUser, served

from carecloud_async import RetryPolicy

pytestmark = pytest.mark.anyio


def body(people):
    record = {"personal_information": {"first_name": "x" * 400}}
    customers = [{"customer_id": f"{number:05}"} | record for number in range(people)]
    return json.dumps({"data": {"customers": customers, "total_items": people}}, separators=(",", ":")).encode()


def connect(*bodies):
    """Return a client of a server that gives one body after the other, and the last one for good; and the server."""
    server = InTurn(*((200, content) for content in bodies))
    return served(server, auth=KnownUser(), retry=RetryPolicy(base=0.001), rate_limit=None), server


@pytest.mark.parametrize("people", [100, 1000, 5000])
async def test_pages_that_arrive_together_are_decoded_one_in_a_pass(people):
    """Of six pages at once, large or larger, no two come in the same pass of the loop."""
    client, _ = connect(body(people))
    passes, came = 0, []

    async def count():
        nonlocal passes
        while True:
            passes += 1
            await checkpoint()

    async def read():
        await client.customers.list(count=people).page()
        came.append(passes)

    async with client:
        await client.login()
        async with anyio.create_task_group() as group:
            group.start_soon(count)
            async with anyio.create_task_group() as calls:
                for _ in range(6):
                    calls.start_soon(read)
            group.cancel_scope.cancel()
    assert len(set(came)) == 6


@pytest.mark.parametrize("people", [100, 5000])
@pytest.mark.parametrize("damage", ["cut", "within a record"])
async def test_a_damaged_large_answer_is_asked_for_again(people, damage):
    """A body that is cut off, or damaged where only reading shows it, is judged before the call ends and repeats."""
    sound = body(people)
    inner = sound[:-60] + sound[-60:].replace(b"x", b"\\y", 1)
    client, server = connect(sound[:-1000] if damage == "cut" else inner, sound)
    async with client:
        page = await client.customers.list(count=people).page()
    assert (len(page.items), len(server.requests)) == (people, 2)


async def test_a_call_cancelled_in_its_turns_leaves_the_next_one_its_turn():
    """A page that is given up while it is decoded blocks no other."""
    client, _ = connect(body(5000))
    async with client:
        await client.login()
        for passes in range(1, 40, 3):
            async with anyio.create_task_group() as group:
                group.start_soon(client.customers.list(count=5000).page)
                for _ in range(passes):
                    await checkpoint()
                group.cancel_scope.cancel()
        assert len((await client.customers.list(count=5000).page()).items) == 5000
