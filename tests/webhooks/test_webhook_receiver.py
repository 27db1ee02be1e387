"""The check of a delivery without a framework: any form of headers, body and query, handled once."""

import json

import anyio
import pytest
from clocks import Bell, FakeClock
from every import every

from carecloud_async.webhooks import (
    DeliveryRefusedError,
    DeliveryRepeatedError,
    MemoryRepeats,
    WebhookReceiver,
    WebhookSettings,
)

pytestmark = pytest.mark.anyio
SECRET = "žluťoučký"
SENT = SECRET.encode()
DELIVERY = {"event": {"id": 7}, "customer_id": "8ea6abc"}
BODY = json.dumps(DELIVERY).encode()


def receiver(**changes):
    settings = {"secret": SECRET, "header": "X-Secret", "id_field": "event.id", "record_field": "customer_id"}
    return WebhookReceiver(WebhookSettings(**settings | changes))


class Chunks:
    """A body in chunks that counts those that were read."""

    def __init__(self, *chunks):
        self.chunks = chunks
        self.read = 0

    async def __aiter__(self):
        for chunk in self.chunks:
            self.read += 1
            yield chunk


@every(
    "headers",
    [
        {"X-Secret": SENT.decode("latin-1")},
        [("x-secret", SENT.decode("latin-1"))],
        {"X-SECRET": SECRET},
        [(b"X-SECRET", SENT), (b"content-length", b"%d" % len(BODY))],
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_delivery_is_handed_to_the_block(headers, chunked):
    """Headers are taken as a mapping or pairs, as text or bytes; a body as bytes or chunks."""
    body = Chunks(BODY[:5], BODY[5:]) if chunked else BODY
    async with receiver().delivery(headers=headers, body=body) as delivery:
        assert (delivery.body, delivery.record_id) == (DELIVERY, "8ea6abc")


async def test_the_secret_may_stand_in_the_query():
    """The query string is given as it stands in the URL."""
    checked = receiver(header=None, query="key", id_field=None)
    for query in ("key=%C5%BElu%C5%A5ou%C4%8Dk%C3%BD&a=", b"key=%C5%BElu%C5%A5ou%C4%8Dk%C3%BD"):
        async with checked.delivery(headers={}, body=BODY, query=query):
            pass
    for query in ("", "key=", "key=x", "Key=%C5%BElu%C5%A5ou%C4%8Dk%C3%BD"):
        with pytest.raises(DeliveryRefusedError):
            async with checked.delivery(headers={}, body=BODY, query=query):
                pass


@every(
    "headers, body, status, code",
    [
        ({}, BODY, 401, "wrong_secret"),
        ({"X-Secret": "\udcff\ud800"}, BODY, 401, "wrong_secret"),
        ([("X-Secret", SECRET), ("X-Secret", SECRET)], BODY, 401, "wrong_secret"),
        (None, b"", 400, "no_json_object"),
        (None, b"[" * 60_000, 400, "no_json_object"),
        (None, b"[]", 400, "no_json_object"),
        (None, b'{"a": NaN}', 400, "no_json_object"),
        (None, b" " * 70_000, 413, "body_too_large"),
        (None, Chunks(b" " * 60_000, b" " * 10_000, BODY), 413, "body_too_large"),
        (None, b'{"customer_id": "a/b", "event": {"id": 1}}', 422, "invalid_body"),
        (None, b'{"customer_id": "a"}', 422, "invalid_body"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_refusal_says_what_to_answer(headers, body, status, code):
    """The error has status, headers and a document; nothing of the delivery is in its text."""
    headers = {"X-Secret": SENT.decode("latin-1")} if headers is None else headers
    with pytest.raises(DeliveryRefusedError) as caught:
        async with receiver().delivery(headers=headers, body=body):
            raise AssertionError
    problem = caught.value.problem
    assert (problem.status, problem.body()["code"]) == (status, code)
    assert problem.headers()["Cache-Control"] == "no-store"
    assert str(caught.value) == f"{status} {code}: {problem.detail}"


async def test_a_long_body_is_not_read_to_its_end():
    """Chunks beyond the bound are not read, and none before the secret is checked."""
    for headers, read in (({}, 0), ([("X-Secret", SENT.decode("latin-1"))], 2)):
        body = Chunks(*[b" " * 60_000] * 10)
        with pytest.raises(DeliveryRefusedError):
            async with receiver().delivery(headers=headers, body=body):
                pass
        assert body.read == read


async def test_a_delivery_is_handled_once():
    """After the block it is remembered; if the block raises, it is not."""
    checked, headers = receiver(), [(b"x-secret", SENT)]
    with pytest.raises(ZeroDivisionError):
        async with checked.delivery(headers=headers, body=BODY):
            raise ZeroDivisionError
    async with checked.delivery(headers=headers, body=BODY):
        with pytest.raises(DeliveryRefusedError, match="under_way"):
            async with checked.delivery(headers=headers, body=BODY):
                pass
    with pytest.raises(DeliveryRepeatedError):
        async with checked.delivery(headers=headers, body=BODY):
            pass


class Leased(MemoryRepeats):
    """A store whose claims must be extended."""

    lease_seconds = 30

    def __init__(self):
        super().__init__()
        self.extended = []
        self.error = None

    async def extend(self, key):
        self.extended.append(key)
        if self.error is not None:
            raise self.error


class NotingBell(Bell):
    """A clock whose sleeps end when it is rung, and are noted."""

    def __init__(self):
        super().__init__()
        self.sleeps = []

    async def sleep(self, seconds):
        self.sleeps.append(seconds)
        await super().sleep(seconds)


@pytest.mark.parametrize("error", [None, OSError("redis://planted@host")])
async def test_a_claim_is_extended_while_its_handler_runs(error, caplog):
    """Three times in its life, to the end of the block; a store that fails is logged, and asked again."""
    store, clock = Leased(), NotingBell()
    store.error = error
    settings = WebhookSettings(secret="a", header="X", id_field="event.id", record_field="customer_id", repeats=store)
    async with WebhookReceiver(settings, clock=clock).delivery(headers={"X": "a"}, body=BODY):
        for number in range(1, 4):
            await anyio.wait_all_tasks_blocked()
            assert len(clock.sleeps) == number
            clock.ring()
        await anyio.wait_all_tasks_blocked()
        assert len(store.extended) == 3
    assert set(clock.sleeps) == {10}
    assert len(set(store.extended)) == 1
    assert caplog.text.count("OSError") == (0 if error is None else 3)
    assert "planted" not in caplog.text


async def test_memory_is_bounded():
    """At most `max_entries` deliveries are remembered; the oldest one is forgotten first."""
    repeats = MemoryRepeats(max_entries=3)
    for key in "abcd":
        assert await repeats.claim(key) == "new"
        await repeats.finish(key)
    assert len(repeats) == 3
    assert [await repeats.claim(key) for key in "dcba"] == ["done", "done", "done", "new"]
    assert await repeats.claim("a") == "under_way"
    await repeats.release("a")
    assert await repeats.claim("a") == "new"


async def test_memory_has_an_age():
    """A delivery is remembered for `seconds` after it was handled."""
    clock = FakeClock()
    repeats = MemoryRepeats(seconds=60, clock=clock)
    await repeats.claim("a")
    clock.now = 100
    assert await repeats.claim("a") == "under_way"
    await repeats.finish("a")
    clock.now = 159
    assert await repeats.claim("a") == "done"
    clock.now = 160
    assert (len(repeats), await repeats.claim("a")) == (0, "new")
