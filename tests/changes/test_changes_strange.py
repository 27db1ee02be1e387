"""Changes of lists with strange ids, null entries and totals that lie: nothing is deleted that is there."""

import csv
import random
import sys
from pathlib import Path

import pytest
from attrs import define
from thorough import examples

from carecloud_async._lists.changes.file import ChangesFileOptions, write_changes
from carecloud_async._lists.changes.reader import Changes
from carecloud_async._lists.changes.values import ChangesOptions

sys.path.append(str(Path(__file__).parents[1] / "export"))
from change_server import hexes
from list_machine import ListMachine
from lying_list import LIES, LyingList

pytestmark = pytest.mark.anyio


@define(kw_only=True)
class StrangeList(ListMachine):
    """A list whose server answers with a null for one record, or with a total that is wrong."""

    null: str | None = None
    lies: str | None = None

    def page(self, offset, count):
        data = super().page(offset, count)
        rows = data["customers"]
        if self.lies is not None:
            data["total_items"] = 0 if self.lies == "zero" else len(rows) // 2 + self.requests % 2
        return {**data, "customers": [None if one["customer_id"] == self.null else one for one in rows]}


async def read(machine, state, **options):
    options = ChangesOptions(concurrency=1, **options)
    async with Changes(machine.source(count=50), state, options) as changes:
        found = [(change.kind, change.id) async for change in changes]
    return found, changes.report


@pytest.mark.parametrize("strange", ["twice", "decimal"])
async def test_one_strange_id_does_not_hide_what_is_deleted(tmp_path, strange):
    """Beside two records of one id, or an id with decimals, deleted records are named by their ids, in tables too."""
    records = [(f"{index:03}", index) for index in range(40)]
    records.append(("007", 99) if strange == "twice" else (7.5, 99))
    machine = ListMachine(records=records, order=("shuffled",))
    state, target = tmp_path / "state", tmp_path / "changes.csv"
    for gone in (None, "003"):
        machine.records = [one for one in machine.records if one[0] != gone]
        options = ChangesFileOptions(overwrite=True)
        report = await write_changes(machine.source(count=20), target, state, ChangesOptions(), options)
        assert report.exact
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert [(row["_change"], row["customer_id"]) for row in rows] == [("deleted", "003")]


async def test_a_record_whose_twin_stays_is_not_deleted(tmp_path):
    """Of two records with one id, one goes, and then the other: the id is deleted once none of them is left."""
    records = [(f"{index:03}", index) for index in range(10)]
    machine = ListMachine(records=[*records, ("007", 99)], order=("shuffled",))
    await read(machine, tmp_path / "state")
    for gone in (("007", 7), ("007", 99)):
        machine.records.remove(gone)
        found, report = await read(machine, tmp_path / "state")
        assert report.exact
        assert (("deleted", "007") in found) == (gone[1] == 99)


async def test_a_record_that_is_null_for_a_night_is_not_deleted(tmp_path, caplog):
    """A null in a list may stand for any record: such a night deletes nothing, and is not exact."""
    machine = StrangeList(records=[(f"{index:03}", index) for index in range(40)])
    await read(machine, tmp_path / "state")
    machine.null = "011"
    found, report = await read(machine, tmp_path / "state")
    assert (found, report.exact) == ([], False)
    assert "null" in caplog.text
    machine.null = None
    found, report = await read(machine, tmp_path / "state")
    assert (found, report.exact) == ([], True)


@pytest.mark.parametrize("lies", ["zero", "half"])
async def test_a_total_that_lies_does_not_look_like_an_empty_list(tmp_path, lies):
    """While a list changes, a total below the records of its pages says nothing about how many are gone."""
    machine = StrangeList(records=[(f"{index:03}", index) for index in range(300)], dice=random.Random(1), lies=lies)
    await read(machine, tmp_path / "state")
    machine.requests = 0
    machine.churn = lambda one: one.requests in {3, 4} and one.delete(250)
    found, report = await read(machine, tmp_path / "state")
    assert report.exact
    assert {kind for kind, _ in found} == {"deleted"}
    assert len(found) == 2


@pytest.mark.parametrize("lie", LIES)
async def test_a_list_that_hides_records_deletes_none_of_them(tmp_path, lie):
    """Nothing is deleted in the nights of an unchanged list whose answers lack records."""
    # One record that an answer hides, and leaves out of its total too, cannot always be distinguished from a deletion.
    blocks = [50] if lie == "hides with total" else [1, 5, 50]
    for seed in range(examples(3)):
        machine = LyingList(
            records=[(one, index) for index, one in enumerate(hexes(700, seed))],
            lie=lie,
            share=0.004 if lie == "drops" else 1 / 7,
            block=random.Random(seed).choice(blocks),
            lies=random.Random(seed),
        )
        held, machine.lie = machine.lie, "none"
        await read(machine, tmp_path / str(seed))
        machine.lie = held
        for _ in range(2):
            found, _ = await read(machine, tmp_path / str(seed))
            assert found == []
