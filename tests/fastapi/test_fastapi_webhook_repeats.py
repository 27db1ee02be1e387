"""Repeated deliveries: handled once, forgotten after a failure, remembered within bounds."""

import anyio
import pytest
from webhook_app import DELIVERY, HEADERS, PATH, Handler, webhook_app

from carecloud_async.fastapi import MemoryRepeats

pytestmark = pytest.mark.anyio


class NoDiskError(Exception):
    """What a handler of these tests fails with."""


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def send(make, enter):
    """Send deliveries to an application one after another, and return their statuses; 500 stands for an error."""

    async def post(http, delivery):
        try:
            return (await http.post(PATH, json=delivery, headers=HEADERS)).status_code
        except NoDiskError:
            return 500

    async def send(app, *deliveries):
        async with enter(app) as http:
            return [await post(http, delivery) for delivery in deliveries]

    return send


async def test_a_repeat_does_not_reach_the_handler(make, send, handler, sandbox):
    """A handled delivery is answered with 204 and costs no request; a failed one, and another id, reach the handler."""
    app = webhook_app(make, handler)
    handler.error = NoDiskError()
    assert await send(app, DELIVERY) == [500]
    handler.error = None
    handler.calls.clear()
    sandbox.forget_requests()
    assert await send(app, DELIVERY, DELIVERY, DELIVERY | {"event": 2}, DELIVERY | {"event": "2"}) == [204] * 4
    assert [call.body["event"] for call in handler.calls] == [DELIVERY["event"], 2]
    assert sandbox.count("GET /customers/{customer_id}") == 2


async def test_concurrent_repeats(make, enter, handler):
    """While a delivery is handled its repeats are answered with 503 and `Retry-After`, afterwards with 204."""
    entered, leave, answers = anyio.Event(), anyio.Event(), []

    async def wait():
        entered.set()
        await leave.wait()

    handler.wait = wait
    async with enter(webhook_app(make, handler)) as http:

        async def post():
            answers.append(await http.post(PATH, json=DELIVERY, headers=HEADERS))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await entered.wait()
            async with anyio.create_task_group() as repeats:
                for _ in range(5):
                    repeats.start_soon(post)
            assert {
                (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) for answer in answers
            } == {(503, "under_way", "5")}
            leave.set()
        await post()
    assert [answer.status_code for answer in answers[5:]] == [204, 204]
    assert len(handler.calls) == 1


async def test_a_cancelled_handler(make, enter, handler):
    """When the handler is cancelled, the delivery is forgotten, and the next attempt reaches it."""
    entered = anyio.Event()

    async def wait():
        entered.set()
        await anyio.sleep_forever()

    handler.wait = wait
    async with enter(webhook_app(make, handler)) as http:

        async def post():
            await http.post(PATH, json=DELIVERY, headers=HEADERS)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await entered.wait()
            tasks.cancel_scope.cancel()
        handler.wait = None
        assert (await http.post(PATH, json=DELIVERY, headers=HEADERS)).status_code == 204
    assert len(handler.calls) == 2


class BrokenStore(MemoryRepeats):
    """A store that fails at some of its steps."""

    def __init__(self, *steps):
        super().__init__()
        for step in steps:
            setattr(self, step, self.fail)

    async def fail(self, key):
        raise OSError(f"redis://planted@host {key}")


async def test_a_store_that_is_away(make, enter, handler, caplog):
    """Without the store the answer is 503 with `Retry-After`, and the handler is not called."""
    async with enter(webhook_app(make, handler, repeats=BrokenStore("claim"))) as http:
        answer = await http.post(PATH, json=DELIVERY, headers=HEADERS)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert handler.calls == []
    assert "the repeat store of a webhook failed: OSError" in caplog.text
    assert "planted" not in caplog.text


async def test_a_store_that_goes_away_meanwhile(make, send, handler, caplog):
    """A store that fails after the handler changes neither its answer nor its error, and is logged."""
    assert await send(webhook_app(make, handler, repeats=BrokenStore("finish")), DELIVERY) == [204]
    handler.error = NoDiskError()
    assert await send(webhook_app(make, handler, repeats=BrokenStore("release")), DELIVERY) == [500]
    assert caplog.text.count("the repeat store of a webhook failed: OSError") == 2
    assert "planted" not in caplog.text
