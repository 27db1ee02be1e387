"""How an untold limit is found from cold, without a Retry-After, in simulated jobs of 600 calls."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from benchmarks.rate_servers import Bucket, FixedWindow, SlidingWindow
from benchmarks.rate_simulation import Callers, Simulation
from benchmarks.rates import LEAST_SERVED, MOST_REFUSED, SERVERS, Case, cases, find, summary, table
from carecloud_async import RateLimit
from carecloud_async.calls.rate_search import RateSearch

#: Callers that can just send the limit, while those who were refused wait: they cannot make up for it.
JUST_ENOUGH = Case(server="bucket of 1", limit=200, latency=0.1, callers=20)
CASES = [case for case in cases(limits=(10, 40, 200)) if case != JUST_ENOUGH]
ROUGH = [case for case in cases(limits=(10, 40), jitters=(0.1,)) if case.server != "bucket of 1"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_short_job_from_cold_finds_the_limit(server):
    """0.85 of the limit with under 5 % refused, for 10, 40 and 200 a second, near and far, few callers and many."""
    findings = [find(case) for case in CASES if case.server == server]
    assert [found for found in findings if found.served < LEAST_SERVED or found.refused >= MOST_REFUSED] == []
    assert sum(found.lost for found in findings) == 0


@pytest.mark.parametrize("server", [server for server in SERVERS if server != "bucket of 1"])
def test_delays_that_vary_change_little(server):
    """Calls that overtake each other are no reason to give the estimate up."""
    findings = [find(case) for case in ROUGH if case.server == server]
    assert [found for found in findings if found.served < 0.8 or found.refused >= 0.06] == []


@settings(max_examples=examples(60))
@given(
    server=st.sampled_from(list(SERVERS)),
    limit=st.integers(5, 300),
    latency=st.floats(0.003, 0.15),
    callers=st.integers(4, 100),
    jitter=st.floats(0, 0.5),
    seed=st.integers(1, 1000),
)
def test_no_server_is_drowned(server, limit, latency, callers, jitter, seed):
    """Whatever the server and the network are like, one request in eight is refused at most, and no call is lost."""
    case = Case(server=server, limit=limit, latency=latency, callers=callers, jitter=jitter, seed=seed)
    found = find(case)
    assert found.refused < 0.125
    assert found.served > 0.05
    assert found.lost == 0


@pytest.mark.parametrize("server", [Bucket, FixedWindow, SlidingWindow])
def test_a_limit_that_changes_is_followed(server):
    """40, then 20, then 80 a second, without a Retry-After: within half a minute of each change the pace is near."""
    simulation = Simulation(server(40), RateLimit.adaptive(), Callers(number=16, latency=0.05, jitter=0.2))
    outcome = simulation.run(seconds=210, change={60: 20, 120: 80})
    assert outcome.pace(10, 60) >= 0.85 * 40
    assert outcome.pace(80, 120) >= 0.8 * 20
    assert outcome.pace(180, 210) >= 0.75 * 80
    assert outcome.share_refused < 0.03


def test_a_window_that_opens_by_one_call_costs_little():
    """A first call, a quarter of a second, and then a burst: its window opens by that one call, and is full again."""
    search, latency = RateSearch(), 0.03
    for sent in (0.0, *(0.25 + number / 280 for number in range(199))):
        search.on_success(sent, sent + latency)
    for sent in (0.965, 0.975, 0.99):
        search.on_throttled(sent, sent + 0.001)
    search.on_success(1.02, 1.05)
    assert search.limit == 200
    search.on_throttled(1.056, 1.057)
    assert search.rate(1.057) >= 0.75 * 200


def test_a_server_without_a_limit_costs_a_cold_client_little():
    """Of twenty callers none waits for more than some round trips; of eight hardly any at all."""
    seconds = {}
    for number in (8, 20):
        simulation = Simulation(SlidingWindow(10**9), RateLimit.adaptive(), Callers(number=number, latency=0.03))
        seconds[number] = max(simulation.run(requests=600).served) / (600 / number * 0.03)
        assert simulation.limiter.rate is None
    assert seconds[8] < 1.02
    assert seconds[20] < 1.2


def test_the_table_names_the_worst_first():
    """What is outside the bounds stands at the top and is marked; the summary has a row for each server."""
    findings = [find(case) for case in cases(limits=(40,), latencies=(0.03,), callers=(8,))]
    lines = table(findings).splitlines()
    margins = [found.margin for found in findings]
    assert lines[1].startswith(findings[margins.index(min(margins))].case.server)
    assert len(lines) == 1 + len(SERVERS)
    assert [line.split("|")[1].strip() for line in summary(findings, limits=(40,)).splitlines()[2:]] == list(SERVERS)
