"""Exports of lists that hide records, and are interrupted: what is resumed knows what was doubted."""

import json
import random

import pytest
from attrs import define
from change_server import hexes
from list_machine import ListMachine, shuffled

from carecloud_async import TransportError


@define(kw_only=True)
class ShortList(ListMachine):
    """A list whose pages lack records from the second on, although its totals count them; at their end the net goes."""

    lacking: frozenset
    is_lost: bool = False

    def page(self, offset, count):
        if self.is_lost:
            raise TransportError("the connection was lost")
        whole = self.records
        if self.requests:
            self.records = [one for one in whole if one not in self.lacking]
        data = super().page(offset, count)
        self.records = whole
        data["total_items"] = len(whole)
        self.is_lost = bool(self.lacking) and len(data["customers"]) < count
        return data


@pytest.mark.parametrize(("size", "hidden"), [(38, 24), (300, 24), (300, 150), (300, 290)])
def test_what_a_run_doubted_is_doubted_by_the_next(tmp_path, size, hidden):
    """The last page of a run ended before its total; later the records are back before it, and one is deleted."""
    records = [(one, index) for index, one in enumerate(sorted(hexes(size)))]
    lacking = frozenset(records[one] for one in (1, 2, 3, hidden))
    machine = ShortList(records=records, lacking=lacking)
    with pytest.raises(TransportError):
        machine.export(tmp_path / "c.jsonl", count=6)
    machine.is_lost, machine.lacking = False, frozenset()
    machine.delete(5)
    report, missing, twice = machine.export(tmp_path / "c.jsonl", count=6, resume=True)
    assert not twice
    assert not (missing and report.exact)


@define(kw_only=True)
class HidingList(ListMachine):
    """A list in an order of its own that hides other records in each pass; in the fourth the net goes once.

    Attributes:
        hides: the places of the records that the passes hide.
        passes: the passes that were begun.
    """

    hides: list
    passes: int = 0
    is_lost: bool = False

    def page(self, offset, count):
        self.passes += offset == 0
        if self.passes == 4 and offset > 40 and not self.is_lost:
            self.is_lost = True
            raise TransportError("the connection was lost")
        whole = self.records
        hidden = self.hides[min(self.passes, len(self.hides)) - 1]
        self.records = [one for one in whole if one[1] not in hidden]
        data = super().page(offset, count)
        self.records = whole
        return data


def test_the_rest_of_a_pass_confirms_nothing(tmp_path):
    """A pass found a record, and was stopped: what goes on finds none, and yet another pass is needed."""
    records = [(one, index) for index, one in enumerate(sorted(hexes(60), key=shuffled))]
    hides = [set(), {10, 30, 50}, {10, 50}, {50}, set()]  # the first one looks for an order, and finds none
    machine = HidingList(records=records, order=("shuffled",), total="none", hides=hides)
    with pytest.raises(TransportError):
        machine.export(tmp_path / "c.jsonl", count=6)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=6, resume=True)
    assert (missing, report.records) == (set(), 60)


@define(kw_only=True)
class ListThatHidesItsEnd(ListMachine):
    """A list that leaves its last record out of some answers, and out of their totals; once the net goes.

    Attributes:
        share: how many of the answers that reach the end.
        lost_at: the number of requests before the net goes.
    """

    lies: random.Random
    share: float = 0.4
    lost_at: int

    def page(self, offset, count):
        if self.requests == self.lost_at:
            self.lost_at = -1
            raise TransportError("the connection was lost")
        whole, churn = self.records, self.churn
        if offset + min(count, self.cap) >= len(whole) and self.lies.random() < self.share:
            self.records = [one for one in whole if one != max(whole)]
        self.churn = None
        data = super().page(offset, count)
        self.records, self.churn = whole, churn
        churn(self)
        return data


@pytest.mark.parametrize("seed", [78, 205, 280])
def test_an_end_that_a_later_answer_contradicts_is_read_again(tmp_path, seed):
    """A page that lacks the last record looks like the end; later answers count more: it is found, or not exact."""
    dice = random.Random(seed)
    size = dice.randrange(8, 40)
    news, fresh = random.Random(seed), iter(hexes(10_000, seed=seed + 1))
    creates, deletes, calm = dice.choice([0.2, 0.5, 0.9]), dice.choice([0, 0.2]), dice.randrange(5, 40)

    def churn(machine):
        if machine.requests > calm:
            return
        if news.random() < creates:
            machine.records.append((next(fresh), -machine.requests))
        if news.random() < deletes and len(machine.records) > 3:
            machine.delete(news.randrange(len(machine.records)))

    machine = ListThatHidesItsEnd(
        records=[(one, index) for index, one in enumerate(hexes(size, seed))],
        churn=churn,
        cap=dice.choice([2, 3, 5]),
        lies=random.Random(seed + 1),
        lost_at=dice.randrange(3, 20),
    )
    whole, path = set(machine.records), tmp_path / "c.jsonl"
    with pytest.raises(TransportError):
        machine.export(path, count=10)
    report, _, _ = machine.export(path, count=10, resume=True)
    found = {(one["customer_id"], one["n"]) for one in map(json.loads, path.read_bytes().splitlines())}
    assert not (report.exact and whole - machine.gone - found)
