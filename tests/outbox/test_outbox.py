"""The promise of an outbox: everything is sent once, in order for each customer, after any failure."""

import asyncio
import shutil
import sqlite3
import sys
from decimal import Decimal

import anyio
import httpx
import pytest
from disks import full_database, watch_databases
from memory_servers import client_of
from outbox_tools import PLACE, bill, put_bill, put_points
from thorough import variants

from carecloud_async.errors import WrongEventLoopError
from carecloud_async.outbox import KeyInUseError, OutboxError, OutboxInUseError
from carecloud_async.outbox import outbox as outbox_module
from carecloud_async.workflows import canceled_bill

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("fault", ["after", "cut", *variants("before", 20.0), "no connection", 500])
async def test_a_lost_answer_makes_nothing_twice(client, server, outbox, fault):
    """Bill and points are there once, whether the lost request did its work, did not, or does it later."""
    server.faults += [fault, fault]
    await put_bill(client, outbox, 1)
    await outbox.put(client.points.assign_points, customer_id="c", amount=5.0, note="Hi", reference="bill-1")
    assert await outbox.flush()
    assert (outbox.waiting, outbox.failed) == (0, 0)
    server.work_late()
    assert server.bill_ids() == ["1"]
    assert server.notes() == ["[ref: bill-1] Hi"]


@pytest.mark.parametrize("status", variants(502, 503, 504))
async def test_an_entry_outlasts_two_hours_without_writes(client, server, clock, outbox, status):
    """Reads are answered, and each write with a status of a proxy: the entry waits, and is sent when that is over."""
    until = clock.monotonic() + 7200

    async def fail(_request):
        server.faults = [status] if clock.monotonic() < until else []

    server.arrived = fail
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    assert server.bill_ids() == ["1"]


async def test_an_entry_outlasts_many_answers_that_the_server_is_not_there(client, server, outbox):
    """After a 503 the request has ended: it counts as no lost answer, of which twenty are too many."""
    server.faults = [503] * 25
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    assert server.bill_ids() == ["1"]


async def test_an_entry_on_which_the_server_fails_is_failed(client, server, clock, outbox):
    """Three times a 500: the entry fails, and the next one of its customer is sent; retried, it begins anew."""
    server.faults += [500] * 3
    await put_bill(client, outbox, 1)
    await put_bill(client, outbox, 2)
    await outbox.flush()
    (failed,) = await outbox.failures()
    assert failed.reasons == ("the server failed on it 3 times: 500",)
    assert server.bill_ids() == ["2"]
    began = clock.monotonic()
    assert await outbox.retry() == 1
    assert await outbox.flush()
    assert server.bill_ids() == ["2", "1"]
    assert clock.monotonic() - began < 200


async def test_a_lost_answer_waits_without_a_problem(client, server, clock, path, outbox):
    """A lost answer is looked up after 35 seconds; until then its entry waits, and there is no problem."""
    seen = []
    server.faults = ["before"]

    async def note(request):
        if "purchases" in request.url.path:
            seen.append((request.method, clock.time(), outbox.waiting, outbox.problem))

    server.arrived = note
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    sent = [item[0] for item in seen].index("POST")
    (_, sent_at, *_), (method, looked_at, *state) = seen[sent : sent + 2]
    assert (method, state) == ("GET", [1, None])
    assert looked_at - sent_at >= 35


async def test_the_order_of_each_customer_is_kept(client, server, outbox):
    """The bills of two customers go out in the order of each, although answers are lost."""
    server.faults += ["after", None, "before", 503, None, "cut", "no connection"]
    for number in range(8):
        await put_bill(client, outbox, number, customer_id="cd"[number % 2])
    assert await outbox.flush()
    assert server.bill_ids("c") == ["0", "2", "4", "6"]
    assert server.bill_ids("d") == ["1", "3", "5", "7"]


async def test_a_cancellation_follows_its_bill(client, server, outbox):
    """A cancellation without a customer is sent after its bill, although the bill names a card."""
    server.faults += ["before"]
    sold = bill(1)
    await outbox.put(client.purchases.send_purchase, sold, card_number="1", **PLACE)
    await outbox.put(client.purchases.send_purchase, canceled_bill(sold), **PLACE)
    assert await outbox.flush()
    assert server.bill_ids() == ["1", "C1"]


async def test_another_process_goes_on(client, server, clock, path):
    """Entries that wait when an outbox is closed are sent by the next one that opens the file."""
    server.away = True
    async with client.outbox(path) as outbox:
        for number in range(3):
            await put_bill(client, outbox, number)
    server.away = False
    async with client_of(server, clock) as other, other.outbox(path) as outbox:
        assert await outbox.flush()
    assert server.bill_ids() == ["0", "1", "2"]


@pytest.mark.parametrize("fault", ["after", "before", 20.0])
async def test_a_process_that_ends_while_it_sends_sends_nothing_twice(client, server, clock, path, tmp_path, fault):
    """A file with a request that was on its way is opened: its purchase is looked up first, after the settle time."""
    copy = tmp_path / "copy.db"

    async def keep_file(request):
        if "send-purchase" in request.url.path and not copy.exists():
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")

    server.arrived, server.faults = keep_file, [fault]
    async with client.outbox(path) as outbox:
        await put_bill(client, outbox, 1)
        while not copy.exists():
            await outbox.flush(timeout=0.01)
    async with client_of(server, clock) as other, other.outbox(copy) as outbox:
        assert outbox.waiting == 1
        assert await outbox.flush()
    clock.advance(100)
    server.work_late()
    assert server.bill_ids() == ["1"]


async def test_a_refused_entry_stays_and_holds_up_nothing(client, server, outbox):
    """A refused bill fails, with reasons and no values; later bills of the customer go out; it can be retried."""
    server.refused.add("1")
    number = await put_bill(client, outbox, 1)
    await put_bill(client, outbox, 2)
    assert not await outbox.flush()
    assert (outbox.waiting, outbox.failed) == (0, 1)
    (failed,) = await outbox.failures()
    assert (failed.id, failed.label, failed.outcome) == (number, "purchases.send_purchase 1", "refused")
    assert failed.reasons == ("bill.payment_recap: voucher_used",)
    server.refused.clear()
    assert await outbox.retry([number + 5]) == 0
    assert await outbox.retry() == 1
    assert await outbox.flush()
    assert server.bill_ids() == ["2", "1"]


async def test_a_refused_entry_can_be_dropped(client, server, outbox):
    """A dropped entry is gone, and may be put once more; one that waits cannot be dropped."""
    server.refused.add("1")
    first = await put_bill(client, outbox, 1)
    await outbox.flush()
    assert await outbox.drop() == 1
    assert await outbox.flush()
    server.refused.clear()
    assert await put_bill(client, outbox, 1) > first
    assert await outbox.flush()
    assert server.bill_ids() == ["1"]
    server.away = True
    await put_bill(client, outbox, 2)
    assert await outbox.drop() == 0
    assert outbox.waiting == 1


async def test_the_same_bill_is_put_once(client, server, outbox):
    """A bill that is put again is the same entry; another bill with its id is refused while it waits."""
    server.away = True
    first = await put_bill(client, outbox, 1)
    assert await put_bill(client, outbox, 1) == first
    refused = f"with this key is in the outbox already, as entry {first}: give this call another key"
    with pytest.raises(KeyInUseError, match=refused):
        await outbox.put(client.purchases.send_purchase, bill(1, total=20.0), **PLACE)
    assert outbox.waiting == 1


async def test_a_number_in_another_form_is_the_same_call(client, server, outbox):
    """A call that is put again with `10`, `10.0` or `Decimal(10)` is not stored twice."""
    server.away = True
    totals = [Decimal("10.00"), 10, 10.0, Decimal(10), Decimal("1E+1")]
    assert len({await put_bill(client, outbox, 1, total=total) for total in totals}) == 1
    assert len({await put_points(client, outbox, amount=value) for value in (*totals, 10)}) == 1
    with pytest.raises(KeyInUseError):
        await put_points(client, outbox, amount=10.5)
    assert outbox.waiting == 2


async def test_closing_waits_for_what_is_on_its_way(client, server, path):
    """The request that is under way when the block ends is heard to its end; what waits is not sent."""
    on_way, may_go = anyio.Event(), anyio.Event()

    async def hold(request):
        if "send-purchase" in request.url.path:
            on_way.set()
            await may_go.wait()

    server.arrived = hold
    async with anyio.create_task_group() as tasks:

        async def use() -> None:
            async with client.outbox(path) as outbox:
                await put_bill(client, outbox, 1)
                await put_bill(client, outbox, 2)
                await on_way.wait()

        tasks.start_soon(use)
        await on_way.wait()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        may_go.set()
    assert server.bill_ids() == ["1"]
    server.arrived = None
    async with client.outbox(path) as outbox:
        assert outbox.waiting == 1
        assert await outbox.flush()
    assert server.bill_ids() == ["1", "2"]


async def test_closing_waits_for_some_seconds_at_most(client, server, path, monkeypatch):
    """A server that does a bill and never answers keeps no program from ending; the next one looks the bill up."""
    monkeypatch.setattr(outbox_module, "CLOSING_SECONDS", 0.05)
    is_done, write = anyio.Event(), server.handle_async_request

    async def hang(request):
        response = await write(request)
        if "send-purchase" in request.url.path:
            is_done.set()
            await anyio.sleep_forever()
        return response

    server.handle_async_request = hang
    async with client.outbox(path) as outbox:
        await put_bill(client, outbox, 1)
        await is_done.wait()
    server.handle_async_request = write
    async with client.outbox(path) as outbox:
        assert outbox.waiting == 1
        assert await outbox.flush()
    assert server.bill_ids() == ["1"]


async def test_a_missing_right_holds_up_its_operation_alone(client, server, path, outbox):
    """Points that the user may not give wait, and say why; bills go out meanwhile, and the points when they may."""
    is_denied = True

    async def deny(request):
        if is_denied and "point" in request.url.path:
            raise httpx.ConnectError("stands for a right that is missing", request=request)

    server.arrived = deny
    for number in range(20):
        await put_points(client, outbox, f"p{number}", "B1")
        await put_bill(client, outbox, number, customer_id=f"c{number}")
    while outbox.waiting > 20:
        await outbox.flush(timeout=1)
    assert len(set(server.bill_ids())) == 20
    assert outbox.problem is not None
    assert server.notes() == []
    is_denied = False
    assert await outbox.flush()
    assert outbox.problem is None
    assert server.notes() == ["[ref: B1]"] * 20


async def test_a_cancelled_block_waits_for_what_is_on_its_way(client, server, path):
    """A block that is cancelled ends when the request under way is answered: it is not sent again."""
    on_way = anyio.Event()

    async def hold(request):
        if "send-purchase" in request.url.path:
            on_way.set()
            await anyio.sleep(0.05)

    server.arrived = hold
    with anyio.CancelScope() as scope:
        async with client.outbox(path) as outbox:
            await put_bill(client, outbox, 1)
            await on_way.wait()
            scope.cancel()
            await anyio.sleep_forever()
    assert server.bill_ids() == ["1"]
    assert outbox.waiting == 0


async def test_a_full_disk_stores_nothing_and_loses_nothing(client, server, path, monkeypatch):
    """`put` raises where the disk is full; what was stored before goes out, and `put` works when there is room."""
    server.away, connect, opened = True, sqlite3.connect, {}

    def connect_noted(file, *args, **options):
        opened[str(file)] = database = connect(file, *args, **options)
        return database

    monkeypatch.setattr(sqlite3, "connect", connect_noted)
    async with client.outbox(path) as outbox:
        await put_bill(client, outbox, 1)
        database = opened[str(path)]
        ((pages,),) = database.execute("PRAGMA page_count")
        database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(OutboxError, match="the disk is full: free some space and try again; what was put"):
            for number in range(2, 200):
                await put_bill(client, outbox, number)
        database.execute("PRAGMA max_page_count=100000")
        assert outbox.waiting == database.execute("SELECT count(*) FROM entries").fetchone()[0]
        await put_bill(client, outbox, number)
        server.away = False
        assert await outbox.flush()
    assert server.bill_ids() == [str(value) for value in range(1, number + 1)]


async def test_what_cannot_be_committed_does_not_wait(client, server, path, monkeypatch):
    """An entry that was written, and whose transaction the disk refuses, is in no count, and is put once more."""
    is_full = False

    def refuse(_database, statement):
        if is_full and statement == "COMMIT":
            raise full_database()

    watch_databases(monkeypatch, refuse)
    async with client.outbox(path) as outbox:
        is_full = True
        with pytest.raises(OutboxError, match="the disk is full"):
            await put_bill(client, outbox, 1)
        assert outbox.waiting == 0
        is_full = False
        await put_bill(client, outbox, 1)
        assert await outbox.flush()
    assert server.bill_ids() == ["1"]


async def test_an_outbox_is_open_once(client, path):
    """A second opening of the file is refused while the first one lasts, and the next one works."""
    async with client.outbox(path):
        with pytest.raises(OutboxInUseError):
            async with client.outbox(path):
                pass
    async with client.outbox(path) as outbox:
        with pytest.raises(OutboxError, match="open already"):
            await outbox.__aenter__()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves and replaces no open file")
@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_file_that_was_moved_or_replaced_takes_nothing(client, server, path, is_replaced):
    """While the file is not at its name, `put` is refused, since entries would be lost; at its name, it works again."""
    server.away = True
    moved = path.with_name("moved.db")
    async with client.outbox(path) as outbox:
        await put_bill(client, outbox, 1)
        path.rename(moved)
        if is_replaced:
            shutil.copy(moved, path)
        with pytest.raises(OutboxError, match="moved, replaced or removed while it is open: put it back"):
            await put_bill(client, outbox, 2)
        assert outbox.waiting == 1
        moved.replace(path)
        await put_bill(client, outbox, 3)
    server.away = False
    async with client.outbox(path) as outbox:
        assert await outbox.flush()
    assert server.bill_ids() == ["1", "3"]


async def test_another_event_loop_is_refused(client, outbox):
    """A thread with an event loop of its own can put nothing: the first loop would not learn of it."""
    with pytest.raises(WrongEventLoopError):
        await anyio.to_thread.run_sync(lambda: asyncio.run(put_bill(client, outbox, 1)))
    assert outbox.waiting == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [({"login": "other"}, "belongs to another identity"), ({"host": "other.example.com"}, "its project differs")],
)
async def test_an_outbox_of_another_project_or_identity_is_refused(client, server, clock, path, other, message):
    """The entries of one shop are never sent to another, or as another user."""
    server.away = True
    async with client.outbox(path) as outbox:
        await put_bill(client, outbox, 1)
    async with client_of(server, clock, **other) as stranger:
        with pytest.raises(OutboxError, match=message):
            async with stranger.outbox(path):
                pass


async def test_a_file_that_is_no_outbox_is_left_alone(client, path):
    """The database of another program is refused, and not changed."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(OutboxError, match="is not an outbox"):
        async with client.outbox(path):
            pass
    assert path.read_bytes() == before


async def test_an_error_in_the_block_comes_out_as_itself(client, path):
    """An error of the user's own block is raised as it is, and the outbox is closed."""
    outbox = client.outbox(path)
    with pytest.raises(KeyError):
        async with outbox:
            raise KeyError("mine")
    with pytest.raises(OutboxError, match="is not open"):
        await outbox.flush()


async def test_entries_that_were_sent_leave_the_file(client, server, path):
    """The file of an outbox holds nothing of what was sent, and stops growing after the first rounds."""
    sizes = []
    for first in range(0, 60, 20):
        server.away = True
        async with client.outbox(path) as outbox:
            for number in range(first, first + 20):
                await put_bill(client, outbox, number, customer_id=f"c{number}")
            server.away = False
            assert await outbox.flush()
        sizes.append(path.stat().st_size)
    assert max(sizes) < 1.5 * sizes[0]
    assert sorted(map(int, server.bill_ids())) == [*range(60)]
