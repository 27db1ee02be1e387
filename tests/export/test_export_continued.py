"""A run that goes on after a stop knows what the run before doubted, and compares its pages with the same ones."""

import pytest
from attrs import define
from change_server import hexes
from list_machine import ListMachine, shuffled

from carecloud_async import TransportError


@define(kw_only=True)
class LostList(ListMachine):
    """A list whose net goes once.

    Attributes:
        lost_at: the request that is lost.
        deleted: after how many requests how many of its first records are deleted.
    """

    lost_at: int
    deleted: tuple
    is_lost: bool = False

    def page(self, offset, count):
        if self.requests + 1 == self.lost_at and not self.is_lost:
            self.is_lost = True
            raise TransportError("the connection was lost")
        data = super().page(offset, count)
        after, records = self.deleted
        if self.requests == after:
            for _ in range(records):
                self.delete(0)
        return data

    def export_twice(self, path, *, count):
        with pytest.raises(TransportError):
            self.export(path, count=count)
        return self.export(path, count=count, resume=True)


def in_order(size):
    return [(one, index) for index, one in enumerate(sorted(hexes(size)))]


@pytest.mark.parametrize("lost_at", [3, 4])
def test_a_gap_without_proof_stays_one(tmp_path, lost_at):
    """The server sends one record at a time, so that nothing shows a gap: neither run makes the report exact."""
    machine = LostList(records=in_order(3), cap=1, total="none", lost_at=lost_at, deleted=(2, 1))
    report, _, _ = machine.export_twice(tmp_path / "c.jsonl", count=6)
    assert not report.exact


def test_a_run_goes_on_though_all_that_it_remembers_is_deleted(tmp_path):
    """All records that a run remembers are deleted: the next one steps back to one that is there."""
    machine = LostList(records=in_order(400), lost_at=75, deleted=(40, 210))
    report, missing, twice = machine.export_twice(tmp_path / "c.jsonl", count=6)
    assert (report.exact, missing, twice) == (True, set(), set())


@define(kw_only=True)
class SwappingList(ListMachine):
    """A list in an order of its own, whose later pages show the third record in the place of the 41st.

    In the second reading a new record stands in the place of a deleted one. The network fails once, after the swapped
    records.
    """

    passes: int = 0
    is_lost: bool = False

    def page(self, offset, count):
        self.passes += offset == 0
        if self.passes == 3 and offset == 0:
            self.gone.add(self.records[5])
            self.records[5] = ("created", 60)
        if self.passes == 3 and offset > 40 and not self.is_lost:
            self.is_lost = True
            raise TransportError("the connection was lost")
        listed = [*self.records]
        if offset >= 30:
            listed[2], listed[40] = listed[40], listed[2]
        shown = [{"customer_id": one, "n": number} for one, number in listed[offset : offset + count]]
        return {"customers": shown, "total_items": len(listed)}


def test_records_that_changed_places_are_not_forgotten(tmp_path):
    """As many records are known as the total counts, but they changed places before the stop: that proves nothing."""
    machine = SwappingList(records=sorted(in_order(60), key=lambda one: shuffled(one[0])))
    with pytest.raises(TransportError):
        machine.export(tmp_path / "c.jsonl", count=6)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=6, resume=True)
    assert not (missing and report.exact)
