"""Exports of lists that hide records: none is missing, or the report is not exact."""

import random

import anyio
import httpx
import pytest
from attrs import define
from change_server import ChangeServer, hexes, old_times
from export_help import ids
from list_machine import ListMachine
from lying_list import LIES, LyingList
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


def lying(lie, seed, *, order="text", most=0):
    return LyingList(
        records=[(one, index) for index, one in enumerate(hexes(SIZE, seed))],
        order=(order,),
        lie=lie,
        share=0.002 if lie == "drops" else 1 / 7,
        block=random.Random(seed).choice([1, 5, 50]),
        lies=random.Random(seed + 1),
        churn=churn_of(seed, most),
    )


@pytest.mark.parametrize("order", ["text", *variants("shuffled")])
@pytest.mark.parametrize("lie", LIES)
def test_a_calm_list_that_hides_records_is_whole_or_not_exact(tmp_path, lie, order):
    """Rows left out, neighbours hidden from some answers, replicas that lag: an exact file has every record."""
    hidden = 0
    for seed in range(examples(4)):
        machine = lying(lie, seed, order=order)
        report, missing, twice = machine.export(tmp_path / "c.jsonl", count=random.Random(seed).choice([100, 200, 500]))
        assert not twice
        assert not (missing and report.exact)
        hidden += machine.hidden
    assert hidden  # the server did lie


@pytest.mark.parametrize("lie", ["drops", "lags"])
def test_a_list_that_lacks_what_its_total_counts_is_read_again_and_not_exact(tmp_path, lie):
    """Pages leave out rows, or all answers lack one: the list is read again, and whatever a page shows is written."""
    machine = lying(lie, 3)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=200)
    assert machine.hidden
    assert (report.exact, bool(missing)) == (False, lie == "lags")
    assert report.passes == 3


@pytest.mark.parametrize("most", [1, *variants(3)])
@pytest.mark.parametrize("lie", ["drops", *variants("lags")])
def test_deletions_do_not_account_for_what_every_page_leaves_out(tmp_path, lie, most):
    """Records that come and go between all answers do not hide that each page leaves out rows, or ends too early."""
    for seed in range(examples(3)):
        report, missing, _ = lying(lie, seed, most=most).export(tmp_path / "c.jsonl", count=200)
        assert not (missing and report.exact)


@define(kw_only=True)
class PartlyHidden(ListMachine):
    """A list whose answers with certain numbers lack records in the middle, and do not count them in their totals."""

    hides: frozenset
    block: int = 12

    def page(self, offset, count):
        whole = self.records
        if self.requests + 1 in self.hides:
            middle = len(whole) // 2
            self.records = whole[:middle] + whole[middle + self.block :]
        data = super().page(offset, count)
        self.records = whole
        return data


@pytest.mark.parametrize("hides", [{1}, {5, 6}, *variants({2, 3}, {1, 2, 3, 4}, {4, 5, 6}, {5, 6, 7, 8}, {6})])
def test_a_total_that_a_few_answers_tell_is_not_believed(tmp_path, hides):
    """At most four answers in a row lack the same records, anywhere in the pass: they are found, or it is not exact."""
    records = [(one, index) for index, one in enumerate(sorted(hexes(60)))]
    machine = PartlyHidden(records=records, hides=frozenset(hides))
    report, missing, twice = machine.export(tmp_path / "c.jsonl", count=12)
    assert not twice
    assert not missing or not report.exact


def test_records_deleted_in_the_middle_are_confirmed_by_the_answers_after_it(tmp_path):
    """Twelve of 600 records go while the list is read: no second reading, and exact."""
    machine = ListMachine(records=[(one, index) for index, one in enumerate(sorted(hexes(600)))])

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
        machine = ListMachine(
            records=[(one, index) for index, one in enumerate(hexes(SIZE, seed))],
            churn=churn_of(seed, most),
        )
        report, missing, _ = machine.export(tmp_path / "c.jsonl", count=200, concurrency=4)
        assert (report.exact, missing) == (True, set())
        assert most or report.requests <= 8


@pytest.mark.parametrize("cap", [*variants(None), 80])
def test_a_night_of_pages_that_leave_out_rows_loses_no_change(tmp_path, cap):
    """Of 40 changed records none is missing from an exact night, though each page leaves out some of its rows."""
    for seed in range(examples(3)):
        dice, names = random.Random(seed), hexes(1000, seed)
        server = ChangeServer(old_times(names), cap=cap)
        changed = dice.sample(names, 40)
        for one in changed:
            server.change(one)

        async def leave_out(request, server=server, dice=dice):
            answer = await server(request)
            data = answer.json()["data"]
            if "customers" in data:
                data["customers"] = [one for one in data["customers"] if dice.random() > 0.01]
            return httpx.Response(200, json={"data": data}, headers={"date": answer.headers["date"]})

        async def night(server=server, leave_out=leave_out):
            async with server.client(transport=httpx.MockTransport(leave_out)) as client:
                listing = client.customers.list(count=200)
                return await listing.export(tmp_path / "c.jsonl", changed_since="2026-11-10T00:00", overwrite=True)

        report = anyio.run(night)
        assert set(changed) <= set(ids(tmp_path / "c.jsonl")) or not report.exact


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


@define(kw_only=True)
class HollowList(ListMachine):
    """A list of two records: after some answers its pages lack one that the totals count, and the other is deleted.

    Attributes:
        deleted_after: the number of answers after which the other record is deleted.
    """

    deleted_after: int

    def page(self, offset, count):
        if self.requests == self.deleted_after:
            self.delete(0)
        whole = self.records
        self.records = [one for one in whole if one[1] != 1 or not self.requests]
        data = super().page(offset, count)
        self.records = whole
        return {**data, "total_items": len(whole)}


@pytest.mark.parametrize("order", ["text", *variants("shuffled")])
@pytest.mark.parametrize("deleted_after", [2, 9, *variants(*range(3, 9), *range(10, 16))])
def test_a_page_without_records_before_its_own_total_is_no_end(tmp_path, order, deleted_after):
    """A deleted record in the file does not make up for one that the last totals count and no page shows."""
    records = [(one, index) for index, one in enumerate(sorted(hexes(2, 3)))]
    served = HollowList(records=records, order=(order,), deleted_after=deleted_after)
    report, missing, _ = served.export(tmp_path / "c.jsonl", count=2)
    assert not missing or not report.exact
