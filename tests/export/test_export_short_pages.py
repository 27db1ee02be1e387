"""A page that a server cuts short once is no cap: later pages are as large as before."""

import pytest
from attrs import define
from change_server import hexes
from list_machine import ListMachine
from thorough import variants

from carecloud_async._lists.paging.page_plan import PagePlan

SIZE = 3000


@define(kw_only=True)
class CutShort(ListMachine):
    """A list whose answers with certain numbers have 18 records, although more follow."""

    cut: frozenset

    def page(self, offset, count):
        data = super().page(offset, count)
        return {**data, "customers": data["customers"][:18]} if self.requests in self.cut else data


def auto():
    return PagePlan(width="auto", count="auto", most_requests=20, now=lambda: 0.0)


@pytest.mark.parametrize(("plan", "most"), [(auto, 20), (lambda: None, 60)])
@pytest.mark.parametrize("cut", [{1}, *variants({3}, {2, 9})])
def test_a_page_that_is_cut_short_once_does_not_shrink_the_others(tmp_path, cut, plan, most):
    """Exact, with a few requests more than without; a page of 18 records would make a thousand of them."""
    machine = CutShort(records=[(one, index) for index, one in enumerate(sorted(hexes(SIZE)))], cut=frozenset(cut))
    report, missing, twice = machine.export(tmp_path / "c.jsonl", count=200, plan=plan())
    assert (report.exact, missing, twice) == (True, set(), set())
    assert report.requests < most


@pytest.mark.parametrize("plan", [auto, lambda: None])
def test_a_cap_is_learnt(tmp_path, plan):
    """A server that sends 80 records at once: hardly more requests than its pages."""
    machine = ListMachine(records=[(one, index) for index, one in enumerate(sorted(hexes(SIZE)))], cap=80)
    report, missing, _ = machine.export(tmp_path / "c.jsonl", count=200, plan=plan())
    assert (report.exact, missing) == (True, set())
    assert report.requests < 1.2 * SIZE / 80
