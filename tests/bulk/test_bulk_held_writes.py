"""Servers that hold writes while they answer reads: what is sent again and when, and what is there twice."""

import itertools
import json
import shutil

import anyio
import httpx
import pytest
from bulk_tools import SOURCE, StopError, connect, counts, people, read, stop_while_it_waits
from kit import through
from memory_servers import CustomerServer, client_of

from carecloud_async import RateLimit, RetryPolicy
from carecloud_async.bulk import BulkWriteError, engine

pytestmark = pytest.mark.anyio


async def test_look_ups_pass_by_caches_in_front_of_the_api(server, write):
    """Each look-up, before a write and after a lost answer, tells caches on the way to ask the server."""
    headers = []
    server.faults = ["before"]

    async def arrived(request):
        if request.method == "GET":
            headers.append(request.headers.get("Cache-Control"))

    server.arrived = arrived
    assert counts(await write(people(1))) == {"created": 1}
    assert headers == ["no-cache"] * len(headers) != ["no-cache"]


class Held:
    """A server that holds each write until a time: its answer is lost, and it acts then. Reads are answered."""

    def __init__(self, clock, *, seconds):
        self.server, self.clock = CustomerServer(clock), clock
        self.began = clock.monotonic()
        self.seconds = seconds
        self.sent = []  # when each write arrived, in seconds, and the name in it
        self.looks = []  # when each look-up arrived
        self.server.arrived = self._arrived

    async def _arrived(self, request):
        now = self.clock.monotonic() - self.began
        self.looks += [now] if request.method == "GET" else []
        if request.method != "GET" and "/users/" not in request.url.path:
            person = json.loads(request.content)["customer"]["personal_information"]
            self.sent.append((now, person["last_name"]))
            self.server.faults = [self.seconds - now] if now < self.seconds else []

    def doubles(self):
        """The addresses that are there more than once, when all has acted."""
        self.clock.advance(10_000)
        self.server.work_late()
        return {email for email, times in self.server.emails().items() if times > 1}


async def write_held(held, rows, **more):
    """Write customers by their addresses."""
    async with client_of(held.server, held.clock) as client:
        return await client.customers.bulk_write(rows, **{"match": "email", "defaults": SOURCE, **more})


async def test_a_lock_of_some_minutes_makes_nothing_twice_unseen(clock, results):
    """Writes are held for 210 s: what is there twice is `unknown`, with the ids; all else is there once."""
    held = Held(clock, seconds=210.0)
    report = await write_held(held, people(60), results=results)
    rows = {row["email"]: row for row in read(results)}
    doubles = held.doubles()
    assert {email for email, item in rows.items() if item["outcome"] == "unknown"} == doubles
    assert len(doubles) <= 1
    assert len(held.server.emails()) == 60
    assert counts(report)["created"] == 60 - len(doubles)


async def test_a_row_alone_that_is_made_twice_names_the_records(clock, results):
    """A row that was sent again while a lock held the first request is `unknown`, and its reason has both ids."""
    held = Held(clock, seconds=210.0)
    report = await write_held(held, people(1), results=results)
    assert report.reasons == {"it is there 2 times, and was not there before it was sent": 1}
    (row,) = read(results)
    assert row["outcome"] == "unknown"
    (reason,) = row["reasons"]
    assert reason.startswith("it is there 2 times, and was not there before it was sent: records ")
    assert all(customer in reason for customer in held.server.customers)
    assert len(held.sent) == 2


@pytest.mark.parametrize("by_writer", [False, True])
async def test_a_longer_settle_time_makes_it_once(clock, by_writer):
    """With `settle=300` a row whose write is held for 210 s is sent once, by a run and by a writer."""
    held = Held(clock, seconds=210.0)
    if by_writer:
        async with (
            client_of(held.server, clock) as client,
            client.customers.bulk_writer(match="email", defaults=SOURCE, settle=300) as writer,
        ):
            assert (await writer.write(people(1)[0])).outcome == "created"
    else:
        assert counts(await write_held(held, people(1), settle=300)) == {"created": 1}
    assert len(held.sent) == 1
    assert held.doubles() == set()


async def test_a_lost_write_waits_longer_each_time(clock):
    """A lost write is sent again after two minutes, then five, twenty, an hour each time, and looked up more rarely."""
    held = Held(clock, seconds=1e9)
    await write_held(held, people(1))
    times = [now for now, _ in held.sent]
    waits = [later - before for before, later in itertools.pairwise(times)]
    assert waits == pytest.approx([120, 300, 1200, 3600, 3600], abs=40)
    looks = [now for now in held.looks if times[3] < now < times[4]]
    assert len(looks) < 25
    assert max(later - before for before, later in itertools.pairwise(looks)) <= 301


async def test_a_stop_does_not_make_it_forget_how_often_it_was_lost(clock, tmp_path):
    """A run that is stopped while a row waits for the second time goes on with the long wait."""
    held, options = Held(clock, seconds=1e9), {"journal": tmp_path / "j.db", "resume": True}
    for _ in range(8):

        def stop(progress):
            if progress.waits_for:
                clock.advance(60)
                raise StopError

        with pytest.raises(StopError):
            await write_held(held, people(1), on_progress=stop, **options)
    times = [now for now, _ in held.sent]
    assert len(times) == 3
    assert times[2] - times[1] >= 300


async def test_what_was_lost_and_acted_at_once_is_known_soon(server, write, clock):
    """The usual lost answer, of a write that has acted, costs the read timeout and five seconds, and one look-up."""
    server.faults = ["cut"]
    began = clock.monotonic()
    report = await write(people(1))
    assert (counts(report), server.sent) == ({"created": 1}, ["POST"])
    assert clock.monotonic() - began == pytest.approx(35, abs=1)


async def test_one_at_a_time_while_writes_are_only_lost(clock):
    """While nothing is answered, new rows are tried one by one, none of them twice, and all go out when it is over."""
    held = Held(clock, seconds=300.0)
    report = await write_held(held, people(120), concurrency=10)
    assert counts(report) == {"created": 120}
    lost = [name for now, name in held.sent if now < 300]
    assert len(lost) == len({*lost})
    assert 10 < len(lost) < 40
    assert held.doubles() == set()


async def test_rows_that_need_no_write_go_by_meanwhile(server, write):
    """Behind a lost write, rows that change nothing have their outcome at once."""
    for row in people(500)[1:]:
        server.add(row["email"], **{name: value for name, value in row.items() if name != "email"})
    server.faults = ["cut before"]
    seen = []
    report = await write(people(500), on_progress=lambda one: seen.append((one.waits_for, one.done)))
    assert counts(report) == {"created": 1, "unchanged": 499}
    assert {done for waits_for, done in seen if waits_for} == {499}


@pytest.mark.parametrize(
    ("fault", "theirs", "outcome", "names"),
    [
        ("cut", "last_name", "conflict", ("Ours", "Theirs")),
        ("cut before", "nickname", "updated", ("Ours", "Ours")),
    ],
)
async def test_what_others_changed_after_a_lost_update_stays(server, write, results, fault, theirs, outcome, names):
    """If it changed a field of the lost row, the row is a `conflict` that names it; other fields keep its values."""
    customer_id = server.add("a@example.com", last_name="Old", first_name="Old")
    server.faults = [fault]

    async def arrived(request):
        if request.method == "GET" and server.sent:
            server.customers[customer_id]["personal_information"][theirs] = "Theirs"

    server.arrived = arrived
    row = {"customer_id": customer_id, "last_name": "Ours", "first_name": "Ours"}
    await write([row], match="customer_id", results=results)
    (result,) = read(results)
    assert (result["outcome"], result["record_id"]) == (outcome, customer_id)
    reasons = [reason.partition(" has")[0] for reason in result["reasons"]]
    assert reasons == ["personal_information.last_name: another program"] * (outcome == "conflict")
    person = server.customers[customer_id]["personal_information"]
    assert (person["first_name"], person["last_name"], person[theirs]) == (*names, "Theirs")


async def test_a_row_that_may_still_act_keeps_its_key(server, clock):
    """A lost update whose record others changed has no outcome while it may act; the next row of its key waits."""
    customer_id = server.add("a@example.com", last_name="Old")
    server.faults = [50.0]
    rows = [{"customer_id": customer_id, "last_name": name} for name in ("First", "Second")]

    async def arrived(request):
        if request.method == "GET" and server.sent == ["PUT"]:
            server.customers[customer_id]["personal_information"]["last_name"] = "Theirs"

    server.arrived = arrived
    async with (
        client_of(server, clock) as client,
        client.customers.bulk_writer(match="customer_id") as writer,
        anyio.create_task_group() as tasks,
    ):
        for row in rows:
            tasks.start_soon(writer.write, row)
            await anyio.lowlevel.checkpoint()  # trio begins what is started together in any order
    clock.advance(100)
    server.work_late()
    assert server.customers[customer_id]["personal_information"]["last_name"] == "Second"


@pytest.mark.parametrize("known", [True, False])
async def test_what_was_sent_twice_is_looked_up_once_more(server, write, clock, known):
    """A write that was lost, and answered when it was sent again, is looked up a settle time later, before it ends."""
    look_ups = []
    began = clock.monotonic()
    if known:
        server.add("new0@example.com", last_name="Old")
    server.faults = ["before"]

    async def arrived(request):
        if request.method == "GET":
            look_ups.append(clock.monotonic() - began)

    server.arrived = arrived
    report = await write(people(1))
    assert counts(report) == {"updated" if known else "created": 1}
    assert look_ups == pytest.approx([0, 35, 70, 105, 120, 240], abs=1)


async def test_a_kill_counts_as_a_lost_answer(server, write, tmp_path):
    """A run is killed while it sends, and its write acts after that of the next run: what is there twice is told."""
    journal, left = tmp_path / "journal", tmp_path / "left"
    arguments = {"match": "email", "defaults": SOURCE}
    server.faults = [180.0]

    async def keep_journal(request):
        if request.method == "POST" and server.faults and request.url.path.endswith("/customers"):
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{journal}{suffix}", f"{left}{suffix}")

    server.arrived = keep_journal
    with pytest.raises(StopError):
        await write(people(1), journal=journal, on_progress=stop_while_it_waits, **arguments)
    report = await write(people(1), journal=left, resume=True, **arguments)
    assert counts(report) == {"unknown": 1}
    assert len(server.customers) == 2


async def test_what_a_look_up_shows_after_two_losses_is_confirmed(server, write):
    """The second request has acted, and the first one acts later: what is there twice is told."""
    server.faults = [180.0, "after"]
    report = await write(people(1))
    assert counts(report) == {"unknown": 1}
    assert len(server.customers) == 2


async def test_a_write_that_did_nothing_remembers_an_earlier_loss(server, write, clock):
    """A lost create is sent again, refused with 429, and acts late: the row is `created`, and is there once."""
    began = clock.monotonic()
    server.faults = [160.0]

    async def arrived(_request):
        if server.sent and clock.monotonic() < began + 170:
            server.faults = ["busy"]

    server.arrived = arrived
    report = await write(people(1))
    assert (counts(report), len(server.customers)) == ({"created": 1}, 1)
    assert len(server.sent) > 1


async def test_a_lost_create_whose_key_another_program_made(server, write):
    """With `mode="create"`, a record with other values does not show what became of a lost row: it is `unknown`."""
    server.faults = ["before"]

    async def arrived(request):
        if server.sent and request.method == "GET" and not server.customers:
            server.add("new0@example.com", last_name="Theirs")

    server.arrived = arrived
    report = await write(people(1), mode="create")
    assert counts(report) == {"unknown": 1}


async def test_look_ups_in_between_end_a_wait_sooner(server, clock, write):
    """A write that was lost twice and then acts is not left alone for the five minutes until it is sent again."""
    server.faults = ["before", 100.0]
    began = clock.monotonic()
    assert counts(await write(people(1))) == {"created": 1}
    assert (len(server.customers), server.sent) == (1, ["POST", "POST"])
    assert clock.monotonic() - began < 420


async def test_a_lost_create_is_not_in_conflict_with_its_own_record(server, write):
    """With `mode="create"`, a record that has every value of a lost row is the one that the row has made."""
    server.faults = ["cut"]
    assert counts(await write(people(1), mode="create")) == {"created": 1}
    assert counts(await write(people(1), mode="create")) == {"conflict": 1}


@pytest.mark.parametrize(
    ("fault", "times", "reason"),
    [
        (500, 3, "the server failed on it 3 times: 500"),
        (503, 6, "the server failed on it 6 times: 503"),
        ("before", 6, "the server failed on it 6 times: 504"),
        ("cut before", 6, "sent 6 times: each time the answer was lost, and no look-up showed the row's values"),
    ],
)
async def test_how_often_a_write_is_sent(server, write, fault, times, reason):
    """Three equal failures of the server, six of a proxy perhaps, six lost answers: then the row is refused."""
    server.faults = [fault] * 99
    report = await write(people(1))
    assert (counts(report), report.reasons, len(server.sent)) == ({"refused": 1}, {reason: 1}, times)


BY_EMAIL = {"match": "email", "defaults": SOURCE}


async def test_a_record_is_read_ten_seconds_before_its_put_at_most(server, clock, threads_at_once):
    """At five calls a second records are read again in time, few of them twice; what never left is not counted."""
    read_at, ages = {}, []
    known = [server.add(f"k{number}@example.com", last_name="Old") for number in range(200)]

    async def arrived(request):
        if request.method == "PUT":
            ages.append(clock.monotonic() - read_at[request.url.path.rpartition("/")[2]])
        for known_id in known:
            if request.method == "GET" and known_id in str(request.url):
                read_at[known_id] = clock.monotonic()

    server.arrived = arrived
    rows = [{"customer_id": known_id, "last_name": "New"} for known_id in known]
    async with client_of(server, clock, rate_limit=RateLimit(requests_per_second=5)) as client:
        report = await client.customers.bulk_write(rows, match="customer_id")
    assert counts(report) == {"updated": 200}
    assert max(ages) <= 10.0
    assert server.sent == ["PUT"] * 200
    logins = 1
    assert report.requests == len(server.requests) - logins < 200 * 1.2


@pytest.mark.parametrize("slow", ["refusal", "login"])
async def test_a_base_is_too_old_after_a_slow_answer_or_a_slow_login(server, clock, slow):
    """A PUT whose token is refused after 20 s, or whose new token takes 20 s, is made again from a new look-up."""
    customer_id = server.add("a@example.com", last_name="Old")
    record = server.customers[customer_id]
    refusal = {"error": {"exception": "unauthorized_exception"}}

    refused = []

    def refuse(request):
        is_login = request.url.path.endswith("/login")
        if (refused and is_login) if slow == "login" else request.method == "PUT" and not refused:
            clock.advance(20.0)
            record["personal_information"]["phone"] = "420111222333"  # another program writes it meanwhile
        if request.method == "PUT" and not refused:
            refused.append(request)
            return httpx.Response(401, json=refusal)
        return None

    async with client_of(through(server, refuse), clock) as client:
        rows = [{"customer_id": customer_id, "last_name": "New"}]
        report = await client.customers.bulk_write(rows, match="customer_id")
    assert counts(report) == {"updated": 1}
    person = server.customers[customer_id]["personal_information"]
    assert (person["last_name"], person["phone"]) == ("New", "420111222333")


async def test_records_that_cannot_be_replaced_in_time(server, write, clock):
    """If each record is read too long before its PUT could leave, the run ends with the reason and can go on."""
    known = [server.add(f"k{number}@example.com", last_name="Old") for number in range(3)]

    async def arrived(request):
        if request.method == "GET":
            clock.advance(11.0)

    server.arrived = arrived
    rows = [{"customer_id": known_id, "last_name": "New"} for known_id in known]
    with pytest.raises(BulkWriteError, match="within ten seconds of its look-up"):
        await write(rows, match="customer_id")
    assert server.sent == []


async def test_a_key_that_only_a_slow_list_finds(clock, sandbox):
    """Brands are written though reading their list takes longer than a record may wait for its `PUT`."""
    server = sandbox.transport()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET":
                clock.advance(11.0)
            return await server.handle_async_request(request)

    async with connect(sandbox, clock=clock, transport=Slow()) as client:
        for outcome in ("created", "unchanged"):
            report = await client.product_brands.bulk_write([{"external_id": "b1", "name": "One"}], match="external_id")
            assert counts(report) == {outcome: 1}


async def test_one_row_on_which_the_server_fails_holds_up_no_other(server, clock, results, monkeypatch):
    """Other rows are done while a row's lost answers settle; the progress says what is waited for."""
    monkeypatch.setattr(engine, "CHUNK", 30)
    seen = []

    def fail(request):
        return httpx.Response(500) if request.method == "POST" and b'"No 7"' in request.content else None

    def on_progress(progress):
        seen.append((progress.waits_for, progress.done))

    began = clock.monotonic()
    async with client_of(through(server, fail), clock, retry=RetryPolicy(attempts=1)) as client:
        report = await client.customers.bulk_write(people(60), results=results, on_progress=on_progress, **BY_EMAIL)
    assert counts(report) == {"created": 59, "refused": 1}
    assert read(results)[7]["reasons"] == ["the server failed on it 3 times: 500"]
    waiting = [done for why, done in seen if "lost answers" in why]
    assert waiting
    assert set(waiting) == {59}
    assert 175 < clock.monotonic() - began < 190
    assert 175 < report.waited < 190
