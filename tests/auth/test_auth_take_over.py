"""Who logs in after the caller that did was cancelled."""

import anyio
import kit
import pytest
from auth_tools import OwnProvider

from carecloud_async import Token

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("cancelled", "leaders"),
    [
        (["leader"], ["leader", "fresh"]),
        (["leader", "fresh"], ["leader", "middle"]),
        (["leader", "old"], ["leader", "fresh"]),
        (["leader", "fresh", "middle"], ["leader", "old"]),
    ],
    ids=str,
)
async def test_the_waiter_with_the_most_time_left_takes_over(cancelled, leaders):
    """After a cancelled login the waiter with the most time left logs in, whoever else is cancelled at that moment."""
    # The one that waited longest would soon be cancelled too, and so on: while calls come, no login would ever end.
    began, gate, scopes, served = [], anyio.Event(), {}, []

    async def obtain(send, previous):
        began.append(anyio.get_current_task().name)
        await gate.wait()
        return Token("token", expires_in=3600)

    async with kit.served(lambda request: kit.data({"customer_id": "1"}), auth=OwnProvider(obtain)) as client:

        async def caller(name, seconds):
            with anyio.move_on_after(seconds) as scopes[name]:
                await client.customers.get("1")
                served.append(name)

        async with anyio.create_task_group() as tasks:
            for name, seconds in (("leader", 70), ("old", 60), ("fresh", 100), ("middle", 80)):
                tasks.start_soon(caller, name, seconds, name=name)
                await anyio.wait_all_tasks_blocked()
            for name in cancelled:
                scopes[name].cancel()
            await anyio.wait_all_tasks_blocked()
            assert began == leaders
            gate.set()
    assert sorted(served) == sorted({"leader", "old", "fresh", "middle"} - {*cancelled})
    assert began == leaders
