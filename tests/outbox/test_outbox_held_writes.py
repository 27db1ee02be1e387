"""Outboxes and servers that hold writes while they answer reads."""

from collections import Counter

import pytest
from disks import full_database, watch_databases
from outbox_tools import put_bill, put_points
from thorough import variants

from carecloud_async import CustomerInput
from carecloud_async.models import CustomerSourceInput, EventInput, PersonalInformationInput

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("threads_at_once")]


async def test_look_ups_pass_by_caches_in_front_of_the_api(client, server, outbox):
    """The look-ups of an entry, before it is sent and after a lost answer, tell caches to ask the server."""
    headers = []
    server.faults = ["after"]

    async def note(request):
        if request.method == "GET":
            headers.append(request.headers.get("Cache-Control"))

    server.arrived = note
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    assert headers == ["no-cache", "no-cache"]


def hold(server, clock, *, seconds, away=()):
    """Let the server hold each write until a time: its answer is lost, and it acts then. Reads are answered.

    At some times nothing is answered.
    """
    began = clock.monotonic()

    async def arrived(request):
        left = began + seconds - clock.monotonic()
        server.away = any(begin < clock.monotonic() - began < end for begin, end in away)
        if request.method != "GET" and "/users/" not in request.url.path:
            server.faults = [left] if left > 0 else []

    server.arrived = arrived


async def put_one_of_each(client, outbox):
    """Put a call of five kinds."""
    person = PersonalInformationInput(email="a@example.com", language_id="en")
    await put_bill(client, outbox, 1, customer_id="c1")
    await put_points(client, outbox, "c2", "p")
    await outbox.put(
        client.credits.deposit_credits, customer_id="c3", amount=5.0, partner_id="x", currency_id="czk", reference="q"
    )
    await outbox.put(
        client.events.create, EventInput(event_type_id="t", external_id="e", secondary_external_id="f", customer_id="c")
    )
    await outbox.put(
        client.customers.create,
        CustomerInput(personal_information=person),
        customer_source=CustomerSourceInput(customer_source_id="s"),
    )


@pytest.mark.parametrize("away", [(), [(50, 60)], [(120, 140)]], ids=["reads are answered", "away", "away later"])
async def test_what_a_lock_makes_twice_is_a_failed_entry(client, server, clock, outbox, away):
    """Writes are held for 210 s, also with no network now and then: what is there twice fails, and is named."""
    hold(server, clock, seconds=210.0, away=away)
    await put_one_of_each(client, outbox)
    assert not await outbox.flush()
    failures = {item.label.split()[0]: item for item in await outbox.failures()}
    assert outbox.waiting == 0
    server.work_late()
    made = Counter(server.done)
    assert set(made.values()) == {2}
    assert len(failures) == len(made) == 5
    assert {value.outcome for value in failures.values()} == {"unknown"}
    assert all("it is there 2 times" in value.reasons[0] for value in failures.values())
    assert failures["purchases.send_purchase"].reasons[0].endswith(": records p0, p1")


async def test_a_longer_settle_time_sends_each_once(client, server, clock, path):
    """With `settle=300` each entry whose write is held for 210 s is sent once, and counts as sent."""
    hold(server, clock, seconds=210.0)
    async with client.outbox(path, settle=300) as outbox:
        await put_one_of_each(client, outbox)
        assert await outbox.flush()
    assert set(Counter(server.done).values()) == {1}


async def test_while_writes_are_only_lost_one_entry_at_a_time_is_tried(client, server, clock, outbox):
    """Writes are held for two minutes: of 16 entries few are tried, none twice, and then all go out."""
    hold(server, clock, seconds=120.0)
    for number in range(16):
        await put_points(client, outbox, f"c{number}", f"r{number}")
    assert await outbox.flush()
    assert Counter(server.notes()) == Counter({f"[ref: r{number}]": 1 for number in range(16)})


@pytest.mark.parametrize("points", [40, *variants(500)])
async def test_other_kinds_go_out_while_one_is_held(client, server, clock, path, points, outbox):
    """Points that are only lost do not keep bills of other customers waiting."""
    began, sent_at = clock.monotonic(), []

    async def arrived(request):
        if request.method == "POST" and "purchase" in request.url.path:
            sent_at.append(clock.monotonic() - began)
            server.faults = []
        elif request.method == "POST" and "points" in request.url.path:
            server.faults = ["before"]

    server.arrived = arrived
    for number in range(points):
        await put_points(client, outbox, f"c{number}", f"r{number}")
    await outbox.flush(timeout=10)
    for number in range(20):
        await put_bill(client, outbox, number, customer_id=f"d{number}")
    await outbox.flush(timeout=60)
    assert len(sent_at) == 20


async def test_a_loss_that_could_not_be_noted_is_a_loss(client, server, clock, path, monkeypatch, outbox):
    """An answer is lost while the disk is full, and its write acts after the next one: what is there twice is told."""
    full_until, server.faults = 0.0, [150.0]

    async def fill(request):
        nonlocal full_until
        if request.url.path.endswith("/send-purchase") and server.faults:
            full_until = clock.monotonic() + 10

    def refuse(_database, statement):
        if clock.monotonic() < full_until and statement.startswith(("INSERT", "UPDATE", "DELETE")):
            raise full_database()

    server.arrived = fill
    watch_databases(monkeypatch, refuse)
    await put_bill(client, outbox, 1)
    await outbox.flush()
    (failed,) = await outbox.failures()
    assert "is there 2 times" in failed.reasons[0]
    assert server.bill_ids() == ["1", "1"]
