"""Exports of lists whose pages lack what their totals count: none is missing, or the report is not exact."""

import random

import anyio
import httpx
import pytest
from change_server import ChangeServer, hexes, old_times
from list_machine import numbered
from thorough import examples, variants

SIZE = 900


def churn_of(seed, most):
    """Return a function that deletes and creates up to that many records after each of the first sixty answers."""
    dice, fresh = random.Random(seed), iter(hexes(10_000, seed=seed + 1))

    def churn(machine):
        for _ in range(dice.randint(0, most) if machine.requests <= 60 else 0):
            machine.delete(dice.randrange(len(machine.records)))
        for _ in range(dice.randint(0, most) if machine.requests <= 60 else 0):
            machine.records.append((next(fresh), -machine.requests))

    return churn if most else None


@pytest.mark.parametrize("lie", ["each page lacks some", "all pages lack the newest"])
def test_a_list_that_lacks_what_its_total_counts_is_read_again_and_not_exact(tmp_path, lie):
    """Pages leave out rows, or all answers lack one: the list is read again, and whatever a page shows is written."""
    dice, machine = random.Random(4), numbered(hexes(SIZE, 3))
    newest = machine.records[-5:]
    machine.lacks = lambda _, listed: newest if lie.startswith("all") else dice.sample(listed, 9)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=200)
    assert (report.exact, bool(missing)) == (False, lie.startswith("all"))
    assert report.passes == 3


def test_records_deleted_in_the_middle_are_confirmed_by_the_answers_after_it(tmp_path):
    """Twelve of 600 records go while the list is read: no second reading, and exact."""
    machine = numbered(sorted(hexes(600)))

    def delete(machine):
        for _ in range(12 if machine.requests == 3 else 0):
            machine.delete(400)

    machine.churn = delete
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=50)
    assert (report.exact, report.passes, missing) == (True, 1, set())
    assert report.records == 588


@pytest.mark.parametrize("most", [*variants(0, 1), 3])
def test_an_honest_list_is_exact(tmp_path, most):
    """Creations and deletions between any two answers: exact; a calm list costs two requests more than its pages."""
    for seed in range(examples(3)):
        machine = numbered(hexes(SIZE, seed), churn=churn_of(seed, most))
        report, missing, _ = machine.export(tmp_path / "c.jsonl", count=200, concurrency=4)
        assert (report.exact, missing) == (True, set())
        assert most or report.requests <= 8


async def night_without(server, hidden, path, *, count):
    """Export the changes of a list whose answers lack some records that their totals count."""

    async def lag(request):
        answer = await server(request)
        data = answer.json()["data"]
        if "customers" in data:
            data["customers"] = [one for one in data["customers"] if one["customer_id"] not in hidden]
        return httpx.Response(200, json={"data": data}, headers={"date": answer.headers["date"]})

    async with server.client(transport=httpx.MockTransport(lag)) as client:
        listing = client.customers.list(count=count)
        return await listing.export(path, changed_since="2026-11-10T00:00", overwrite=True)


@pytest.mark.parametrize("count", [10, 100])
def test_a_list_that_changed_as_a_whole_is_held_against_its_total(tmp_path, count):
    """If no record is older than the mark, the whole list was read: fewer records than its total are not exact."""
    names = hexes(40, 5)
    server = ChangeServer(old_times(names))
    for one in names:
        server.change(one)
    assert anyio.run(lambda: night_without(server, set(), tmp_path / "c.jsonl", count=count)).exact
    report = anyio.run(lambda: night_without(server, {*names[5:15]}, tmp_path / "c.jsonl", count=count))
    assert (report.records, report.exact) == (30, False)


@pytest.mark.parametrize("order", ["text", *variants("shuffled")])
@pytest.mark.parametrize("deleted_after", [2, 9, *variants(*range(3, 9), *range(10, 16))])
def test_a_page_without_records_before_its_own_total_is_no_end(tmp_path, order, deleted_after):
    """A deleted record in the file does not make up for one that the last totals count and no page shows."""
    machine = numbered(sorted(hexes(2, 3)), order=(order,))
    lacking = machine.records[1:]
    machine.lacks = lambda machine, _: lacking if machine.requests > 1 else ()
    machine.churn = lambda machine: machine.requests == deleted_after and machine.delete(0)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=2)
    assert not missing or not report.exact
