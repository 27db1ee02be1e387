"""Entries that fail alone, or are never answered: they keep none of another customer waiting, and are shown."""

import httpx
import pytest
from memory_servers import LoyaltyServer, client_of
from outbox_tools import put_points

pytestmark = pytest.mark.anyio


class PickyTill(LoyaltyServer):
    """A server that never does the entries of the customer `x`.

    Attributes:
        picky: how the requests for `x` are answered: a status, or `"cut"` for no answer. `None` is as all others.
        is_read: whether these are the look-ups, and not the writes.
        is_of_all: whether it treats all customers so.
        down: whether nothing is answered but with 503.
    """

    picky, is_read, is_of_all, down = None, False, False, False

    async def handle_async_request(self, request):
        is_of_x = self.is_of_all or b'"x"' in request.content or request.url.params.get("customer_id") == "x"
        if self.down:
            return httpx.Response(503)
        is_login = request.url.path.endswith("/login")
        if self.picky is not None and is_of_x and not is_login and self.is_read == (request.method == "GET"):
            if self.picky == "cut":
                raise httpx.ReadError("cut", request=request)
            error = {"type": "x", "exception": "denied", "title": "t", "error_data": {"invalid_params": []}}
            return httpx.Response(self.picky, json={"error": error})
        return await super().handle_async_request(request)


@pytest.fixture
def server(clock):
    return PickyTill(clock)


async def wait_for(outbox, waiting):
    """Wait until no more than so many entries wait."""
    while outbox.waiting > waiting:
        await outbox.flush(timeout=1)


@pytest.mark.parametrize(("picky", "is_read"), [(403, False), (403, True), (504, True), ("cut", True), ("cut", False)])
async def test_an_entry_that_fails_alone_keeps_no_other_waiting(client, server, clock, outbox, picky, is_read):
    """Points of one customer fail for minutes: those of others that are put then are given as soon as one was tried."""
    server.picky, server.is_read = picky, is_read
    await put_points(client, outbox, "x")
    while clock.monotonic() < 1300:
        await outbox.flush(timeout=120)
    began = clock.monotonic()
    for number in range(25):
        await put_points(client, outbox, f"c{number}")
    await wait_for(outbox, 1)
    assert clock.monotonic() - began < 30
    assert len(server.notes()) == 25
    assert outbox.failed == 0


@pytest.mark.parametrize(("picky", "is_read"), [(403, False), (403, True), ("cut", False)])
async def test_after_an_outage_the_entry_that_is_never_done_is_not_tried_alone(server, clock, path, picky, is_read):
    """The server was down when the entries were put: when it is back, the others go, although the first one fails."""
    server.picky, server.is_read, server.down = picky, is_read, True
    async with client_of(server, clock) as client, client.outbox(path) as outbox:
        await put_points(client, outbox, "x")
        for number in range(6):
            await put_points(client, outbox, f"c{number}")
        while outbox.problem is None:
            await outbox.flush(timeout=1)
        server.down = False
        began = clock.monotonic()
        await wait_for(outbox, 1)
        assert clock.monotonic() - began < 120
    assert len(server.notes()) == 6


async def test_what_fails_alone_is_set_aside(client, server, clock, outbox):
    """A lasting 403 for one customer, while those of others are sent: after some minutes it has failed, and says so."""
    server.picky = 403
    began = clock.monotonic()
    await put_points(client, outbox, "x")
    await put_points(client, outbox, "x", "B2")
    number = 0
    while not outbox.failed:
        await put_points(client, outbox, "c", f"A{number}")
        number += 1
        await wait_for(outbox, 2)
        clock.advance(5)
        assert outbox.problem is not None
    assert 300 <= clock.monotonic() - began < 900
    (failed,) = await outbox.failures()
    assert (failed.label, failed.outcome) == ("points.assign_points B1", "refused")
    assert "times while others were sent: 403 on POST /points/actions/assign-points (denied)" in failed.reasons[0]
    server.picky = None
    assert await outbox.retry() == 1
    assert await outbox.flush()
    assert {*server.notes()} >= {"[ref: B1]", "[ref: B2]"}


async def test_a_right_that_all_lack_sets_nothing_aside(client, server, clock, outbox):
    """No one's points may be given, for hours: all wait, with the reason, and are sent when they may."""
    server.picky, server.is_of_all = 403, True
    for number in range(12):
        await put_points(client, outbox, f"c{number}")
    end = clock.monotonic() + 3 * 3600
    while clock.monotonic() < end:
        await outbox.flush(timeout=1800)
    assert (outbox.waiting, outbox.failed) == (12, 0)
    assert "403" in str(outbox.problem)
    server.picky = None
    assert await outbox.flush()
    assert outbox.problem is None
