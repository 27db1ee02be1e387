"""Lost answers, kills and parallel runs: a keyed row is in the server once, a keyless one is never sent twice."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, denied, emails, outcomes, people, read, write_jsonl
from thorough import variants

from carecloud_async.bulk import BulkWriteError
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.journal import KIND
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio

#: Ways in which the answer to a write is lost after it was applied, and before.
LOST = {
    "504 after": {"status": 504, "worked": True},
    "500 after": {"status": 500, "worked": True},
    "cut": {"cut": "after"},
    "half": {"cut": "half"},
    "garbage": {"garbage": True},
    "page": {"html": True},
    "504 before": {"status": 504},
    "cut before": {"cut": True},
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
async def test_a_lost_answer_makes_no_double(sandbox, client, fault):
    """Rows whose create lost its answer are looked up, and sent again only if they did not happen."""
    rows = people(6)
    sandbox.faults.add("POST /customers", **fault, times=3, after=1)
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, concurrency=2)
    assert counts(report) == {"created": 6}
    found = await emails(client)
    assert [found[row["email"]] for row in rows] == [1] * 6


#: Those of which a write of another kind meets two; `--thorough` tries all.
FEW = [LOST["504 after"], LOST["cut before"], *variants(*LOST.values())]


@pytest.mark.parametrize("fault", FEW)
async def test_a_lost_answer_of_an_update(sandbox, client, fault):
    """Rows whose update lost its answer end as updated, and the record holds the change."""
    known = [customer.customer_id async for customer in client.customers.list()][:4]
    sandbox.faults.add("PUT /customers/{customer_id}", **fault, times=2, after=1)
    rows = [{"customer_id": known_id, "last_name": f"Changed {known_id[:3]}"} for known_id in known]
    report = await client.customers.bulk_write(rows, match="customer_id", concurrency=1)
    assert counts(report) == {"updated": 4}
    for known_id in known:
        record = await client.customers.get(known_id)
        assert record.personal_information.last_name == f"Changed {known_id[:3]}"


@pytest.mark.parametrize("fault", FEW)
async def test_a_lost_answer_of_a_batch(sandbox, client, fault):
    """A batch that lost its answer is looked up, and sent again only if it did not happen."""
    rows = [{"card_number": f"88{number:06}", "card_type_id": CARD_TYPE, "state": 1} for number in range(50)]
    sandbox.faults.add("POST /cards/batch", **fault)
    report = await client.cards.bulk_write(rows, match="card_number")
    assert counts(report) == {"created": 50}
    numbers = [card.card_number async for card in client.cards.list(count=500)]
    assert sorted(number for number in numbers if number.startswith("88")) == [row["card_number"] for row in rows]


async def test_a_row_without_a_key_is_unknown_after_a_lost_answer(sandbox, client):
    """A keyless row whose answer was lost is unknown and is not sent again."""
    sandbox.faults.add("POST /customers", status=504, worked=True, times=2)
    report = await client.customers.bulk_write(people(5), match=None, defaults=SOURCE, concurrency=1)
    assert counts(report) == {"created": 3, "unknown": 2}
    found = await emails(client)
    assert [found[row["email"]] for row in people(5)] == [1] * 5


async def test_a_lost_create_is_not_sent_again_if_its_key_is_written_later(sandbox, client):
    """The card that names a customer is made after the customer: a lost create is unknown, in the next run too."""
    rows = [{**row, "card_number": f"77{number:06}"} for number, row in enumerate(people(5))]
    options = {"match": "card_number", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "concurrency": 1}
    sandbox.faults.add("POST /customers", status=504, worked=True, after=1, times=2)
    report = await client.customers.bulk_write(rows, **options)
    assert counts(report) == {"created": 3, "unknown": 2}
    again = await client.customers.bulk_write(rows, **options)
    assert counts(again) == {"unchanged": 3, "unknown": 2}
    assert again.waited > 0
    found = await emails(client)
    assert [found[row["email"]] for row in rows] == [1] * 5


async def test_a_run_that_is_stopped_between_customer_and_card(sandbox, client, tmp_path):
    """Another run makes no second customer for the card that a stopped run had not written; the first one goes on."""
    rows = [{**row, "card_number": f"78{number:06}"} for number, row in enumerate(people(3))]
    options = {"match": "card_number", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "concurrency": 1}
    with denied(sandbox, "POST /cards"):
        await client.customers.bulk_write(rows, **options, journal=tmp_path / "first.db")
    other = await client.customers.bulk_write(rows, **options)
    assert counts(other) == {"created": 2, "unknown": 1}
    report = await client.customers.bulk_write(rows, **options, journal=tmp_path / "first.db", resume=True)
    assert counts(report) == {"created": 1, "unchanged": 2}
    found = await emails(client)
    assert await client.cards.list(card_number_list=[row["card_number"] for row in rows]).total() == 3
    assert [found[row["email"]] for row in rows] == [1] * 3


async def test_a_resumed_run_keeps_the_cards_of_the_customers_that_it_has_made(sandbox, tmp_path):
    """Until a resumed run has written the card of a customer that it made, no other run makes one for this card."""
    clock, busy = FakeClock(), set()
    async with connect(sandbox, clock=clock) as client:
        rows = [{**row, "card_number": f"79{number:06}"} for number, row in enumerate(people(2))]
        options = {"match": "card_number", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "concurrency": 1}
        options["journal"] = tmp_path / "first.db"
        with denied(sandbox, "POST /cards"):
            await client.customers.bulk_write(rows, **options)

        def on_progress(progress):
            if progress.stage == "finding":
                with Claims(project=client.project.origin, clock=clock, settle_seconds=35.0) as other:
                    busy.update(other.claim([f"cards\0card_number\0{row['card_number']}" for row in rows]).busy)
                    other.release_all()

        report = await client.customers.bulk_write(rows, **options, resume=True, on_progress=on_progress)
        assert counts(report) == {"created": 2}
    assert busy == {f"cards\0card_number\0{rows[0]['card_number']}"}


async def test_wrong_credentials_end_the_run_and_what_was_done_is_kept(sandbox, client, tmp_path, results):
    """A missing right ends the run with its own error; the next run goes on, and rows created before stay created."""
    source = write_jsonl(tmp_path / "c.jsonl", people(20))
    with denied(sandbox, "POST /customers", after=7):
        await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, concurrency=1)
    assert not results.exists()
    with pytest.raises(BulkWriteError, match="resume=True"):
        await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results)
    report = await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, resume=True)
    assert report.resumed
    assert counts(report) == {"created": 20}
    assert outcomes(results) == ["created"] * 20
    assert all(row["record_id"] for row in read(results))


async def test_a_resumed_run_is_the_same_run(sandbox, client, tmp_path):
    """`resume=True` with other arguments or another file is refused and names what differs."""
    source = tmp_path / "c.jsonl"
    source.write_text('{"email":"a@example.com","language_id":"en"}\n')
    with denied(sandbox, "POST /customers"):
        await client.customers.bulk_write(source, match="email", defaults=SOURCE)
    with pytest.raises(BulkWriteError, match="its mode differs"):
        await client.customers.bulk_write(source, match="email", defaults=SOURCE, resume=True, mode="create")
    source.write_text('{"email":"b@example.com","language_id":"en"}\n{}\n')
    with pytest.raises(BulkWriteError, match="its source differs"):
        await client.customers.bulk_write(source, match="email", defaults=SOURCE, resume=True)


@pytest.mark.parametrize("whose", ["another program", "another version"])
async def test_a_file_that_is_not_ours_is_left_alone(sandbox, tmp_path, whose):
    """`journal=` that names another program's database, or a run of another version, is refused and not changed."""
    source, journal = tmp_path / "c.jsonl", tmp_path / "theirs.db"
    source.write_text('{"email":"a@example.com","language_id":"en"}\n')
    script, problem = "CREATE TABLE rows (number INTEGER)", "is not a journal of a bulk write: it is left alone"
    if whose == "another version":
        script = (Path(__file__).parent / "formats" / f"version_{KIND.version - 1}.sql").read_text()
        problem = "made by another version of this package: go on with that"
    with closing(sqlite3.connect(journal)) as database:
        database.executescript(script)
        before = [*database.iterdump()]
    async with connect(sandbox) as client:
        for resume in (False, True):
            with pytest.raises(BulkWriteError, match=problem):
                await client.customers.bulk_write(
                    source, match="email", defaults=SOURCE, journal=journal, resume=resume
                )
    with closing(sqlite3.connect(journal)) as database:
        assert [*database.iterdump()] == before


async def test_two_runs_of_one_file(client, tmp_path):
    """A run of a file that another run is writing is refused."""
    refused = []
    source = write_jsonl(tmp_path / "c.jsonl", people(30))

    async def run_again(progress):
        if progress.stage == "finding" and not refused:
            refused.append("")
            with pytest.raises(BulkWriteError) as error:
                await client.customers.bulk_write(source, match="email", defaults=SOURCE)
            refused[0] = str(error.value)

    await client.customers.bulk_write(source, match="email", defaults=SOURCE, on_progress=run_again)
    assert "another run is using it" in refused[0]


async def test_a_writer_gives_each_row_its_outcome(sandbox, client):
    """Rows of many tasks share look-ups, those with one key are written one after another, none twice."""
    results = {}
    sandbox.faults.add("POST /customers", status=504, worked=True, times=2)
    with client.record_calls() as calls:
        async with client.customers.bulk_writer(match="email", defaults=SOURCE) as writer:

            async def write(number):
                row = {"email": f"q{number % 10}@example.com", "language_id": "en", "first_name": f"F{number}"}
                results[number] = await writer.write(row)

            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(write, number)
    assert sorted(value.outcome for value in results.values()) == ["created"] * 10 + ["updated"] * 10
    found = await emails(client)
    assert [found[f"q{value}@example.com"] for value in range(10)] == [1] * 10
    assert len([call for call in calls if call.method == "GET"]) < 30
