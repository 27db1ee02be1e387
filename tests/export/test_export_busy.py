"""Lists that change all the time, in virtual time: exact, by a faithful server; see `benchmarks.busy_lists`."""

import pytest

from benchmarks.busy_lists import BusyList, read_busy

CASES = {
    "deletions": BusyList(records=4000, deletes=50, count=100),
    "as many created as deleted": BusyList(records=4000, creates=20, deletes=20, count=100),
    "a replica that lags": BusyList(records=4000, creates=20, deletes=10, lag=5, count=100),
    "no sort": BusyList(records=2000, creates=5, deletes=5, count=100, is_sorted=False),
}


@pytest.mark.parametrize("name", CASES)
def test_an_exact_report_of_a_busy_list_is_right(name):
    """What is called exact lacks nothing, and has nothing twice; without a replica two of three reports are exact."""
    found = [read_busy(CASES[name], seed) for seed in range(3)]
    exact = [one for one in found if not one.report.reasons]
    assert [(one.lost, one.twice) for one in exact] == [(0, 0)] * len(exact)
    assert len(exact) >= 2 or CASES[name].lag
