"""A run that goes on after a stop knows what the run before doubted, and compares its pages with the same ones."""

import pytest
from attrs import define
from change_server import hexes
from list_machine import ListMachine

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


def test_a_run_goes_on_though_all_that_it_remembers_is_deleted(tmp_path):
    """All records that a run remembers are deleted: the next one steps back to one that is there."""
    machine = LostList(records=in_order(400), lost_at=75, deleted=(40, 210))
    report, missing, twice = machine.export_twice(tmp_path / "c.jsonl", count=6)
    assert (report.exact, missing, twice) == (True, set(), set())
