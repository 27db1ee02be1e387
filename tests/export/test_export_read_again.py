"""Exports that begin to read a list again: what the reading before showed is in the file, or none is called exact."""

import random

import pytest
from attrs import define
from change_server import hexes
from list_machine import ListMachine


@define(kw_only=True)
class BehindList(ListMachine):
    """A list of forty records: from its third answer on one is not shown, which the totals count.

    It is shown again when the third reading has passed its place, and another one is deleted then, which was read.
    """

    readings: int = 0
    hides: bool = False

    def page(self, offset, count):
        self.hides = self.hides or self.requests == 2
        self.readings += offset == 0
        if self.readings == 3 and offset > 25 and self.hides:
            self.hides = False
            self.requests = 100
            self.delete(self.records.index(min(self.records)))
        whole = self.records
        self.records = [one for one in whole if one[1] != 20 or not self.hides]
        data = super().page(offset, count)
        self.records = whole
        return {**data, "total_items": len(whole)}


def test_what_a_short_reading_showed_is_not_lost_by_the_next(tmp_path):
    """The totals promise more than a reading found, and the list is read again: a record that it showed is kept."""
    records = [(one, index) for index, one in enumerate(sorted(hexes(40, 3)))]
    served = BehindList(records=records, cap=25)
    report, missing, _ = served.export(tmp_path / "c.jsonl", count=25)
    assert (missing, report.exact, report.passes) == (set(), True, 3)


@define(kw_only=True)
class RecentList(ListMachine):
    """A list that begins with what changed last: a record that changes moves to its front."""

    def page(self, offset, count):
        self.requests += 1
        shown = self.records[offset : offset + count]
        data = {"customers": [{"customer_id": one, "n": n} for one, n in shown], "total_items": len(self.records)}
        self.churn(self)
        return data


@pytest.mark.parametrize(("seed", "often"), [(17, 0.05), (22, 0.1)])
def test_a_record_that_moves_to_the_front_leaves_out_none(tmp_path, seed, often):
    """In a list that is not in the order of its ids, what moves shows nothing: the export is exact in the end."""
    dice, fresh = random.Random(seed), iter(hexes(1000, seed + 1))

    def change(machine):
        if dice.random() < often:
            machine.records.insert(0, machine.records.pop(dice.randrange(len(machine.records))))
        if dice.random() < often:
            machine.records.insert(0, (next(fresh), -machine.requests))

    machine = RecentList(records=[(one, index) for index, one in enumerate(hexes(200, seed))], churn=change)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=10)
    assert (report.exact, missing) == (True, set())
