"""An unknown limit is found in simulated time, from whatever state."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples, variants

from benchmarks.rate_servers import Bucket, FixedWindow, SlidingWindow
from benchmarks.rate_simulation import Callers, Simulation
from benchmarks.rates import AFTER_REST, AFTER_SLOW_CALLS, SERVERS, SPACED, STATES, Case, cases, find
from carecloud_async import RateLimit

#: The servers whose limits are found; see `SPACED`.
FOUND = [name for name in SERVERS if name != SPACED]


@pytest.mark.parametrize("state", [*STATES, AFTER_REST, AFTER_SLOW_CALLS])
@pytest.mark.parametrize("server", FOUND)
def test_from_the_tenth_second_on_the_limit_is_used(server, state):
    """From whatever state 0.85 of the limit is served then, and a twentieth refused; no call is given up."""
    for finding in map(find, cases(states=[state], servers=[server], limits=[40], latencies=[0.03], callers=[20])):
        assert finding.served[-1] >= 0.85
        assert finding.refused[-1] <= 0.05
        assert finding.lost == 0


@pytest.mark.parametrize("server", [Bucket, *variants(FixedWindow, SlidingWindow)])
def test_a_limit_that_fell_from_200_to_40_is_found_within_ten_seconds(server):
    """0.85 of the new limit is served from the third to the tenth second after it fell, and few calls are refused."""
    simulation = Simulation(server(200), RateLimit.adaptive(), Callers(number=20, latency=0.03, jitter=0.1))
    outcome = simulation.run(seconds=30, change={20: 40})
    assert outcome.pace(23, 30) >= 0.85 * 40
    assert sum(23 <= at < 30 for at in outcome.refused) < 0.05 * 7 * 40


@settings(max_examples=examples(60), derandomize=True)
@given(
    case=st.builds(
        Case,
        state=st.sampled_from([*STATES, AFTER_REST, AFTER_SLOW_CALLS]),
        server=st.sampled_from(FOUND),
        limit=st.integers(5, 100),
        latency=st.floats(0.005, 0.1),
        callers=st.integers(4, 100),
        seed=st.integers(1, 1000),
    )
)
def test_whatever_the_limit_and_the_callers_are_it_is_found(case):
    """From the tenth second on 0.8 of the limit is served and a tenth refused at worst, nearly always 0.9 and 3 %."""
    finding = find(case)
    assert finding.served[-1] >= 0.8
    assert finding.refused[-1] <= (0.2 if case.limit <= 10 else 0.1)
    assert finding.lost == 0


@pytest.mark.parametrize("limit", [10, 40])
def test_a_bucket_of_one_is_neither_given_up_nor_drowned(limit):
    """On a bucket of one, which refuses every early call, half of the limit is served, and few calls are refused."""
    for finding in map(find, cases(states=["cold"], servers=[SPACED], limits=[limit], latencies=[0.03], callers=[20])):
        assert finding.served[-1] >= 0.5
        assert finding.refused[-1] <= 0.07


@pytest.mark.parametrize("retry_after", [None, *variants(1.0)])
@pytest.mark.parametrize("server", FOUND)
def test_a_configured_rate_below_the_limit_is_used_and_never_refused(server, retry_after):
    """38 a second at a limit of 40 get no 429, and 0.95 of the rate."""
    callers = Callers(latency=0.1, jitter=0.4, retry_after=retry_after)
    outcome = Simulation(SERVERS[server](40), RateLimit(requests_per_second=38), callers).run(seconds=60)
    assert outcome.pace(0, 60) >= 0.95 * 38
    assert not outcome.refused


@pytest.mark.parametrize("limit", [40, *variants(5)])
@pytest.mark.parametrize("server", FOUND)
def test_a_server_whose_refusals_ask_for_a_second_is_used(server, limit):
    """Each refusal is a pause of a second: 0.75 of the limit is served, and few calls are refused."""
    callers = Callers(latency=0.03, jitter=0.4, retry_after=1.0)
    outcome = Simulation(SERVERS[server](limit), RateLimit.adaptive(), callers).run(seconds=90)
    assert outcome.pace(0, 90) >= 0.75 * limit
    assert outcome.share_refused < 0.08


class Erratic:
    """Refuses one call in a hundred at random, and has no limit."""

    rate = math.inf

    def __init__(self):
        self._random = Random(1)

    def admit(self, now):
        return self._random.random() >= 0.01


def test_refusals_at_random_lose_no_call():
    """Where 429s come at random calls are slower, and all are served."""
    outcome = Simulation(Erratic(), RateLimit.adaptive(), Callers(number=20, latency=0.03)).run(seconds=60)
    assert outcome.lost == 0
    assert outcome.pace(30, 60) > 10


@pytest.mark.parametrize("server", [FixedWindow, SlidingWindow])
def test_windows_of_ten_seconds_lose_no_call(server):
    """A longer window is not looked for: calls come in bursts, some are refused and repeated, and all are served."""
    simulation = Simulation(server(40, 10.0), RateLimit.adaptive(), Callers(number=20, latency=0.03, jitter=0.1))
    outcome = simulation.run(seconds=60)
    assert outcome.lost == 0
    assert outcome.pace(20, 60) >= 0.5 * 40
    assert outcome.share_refused < 0.1


@pytest.mark.parametrize("server", [Bucket, FixedWindow, SlidingWindow])
def test_a_limit_that_changes_is_followed(server):
    """40, then 20, then 80 a second: ten seconds after each change the rate is near."""
    simulation = Simulation(server(40), RateLimit.adaptive(), Callers(number=16, latency=0.05, jitter=0.2))
    outcome = simulation.run(seconds=120, change={40: 20, 80: 80})
    assert outcome.pace(10, 40) >= 0.85 * 40
    assert outcome.pace(50, 80) >= 0.85 * 20
    assert outcome.pace(90, 120) >= 0.85 * 80
    assert outcome.share_refused < 0.05


def test_a_server_without_a_limit_costs_a_cold_client_little():
    """Of twenty callers none waits for more than some round trips; of eight none at all."""
    seconds = {}
    for number in (8, 20):
        simulation = Simulation(SlidingWindow(10**9), RateLimit.adaptive(), Callers(number=number, latency=0.03))
        seconds[number] = max(simulation.run(requests=600).served) / (600 / number * 0.03)
        assert simulation.limiter.rate is None
    assert seconds[8] < 1.01
    assert seconds[20] < 1.1
