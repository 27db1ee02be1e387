"""The rate that is configured, and the one that finds the limit by itself, in simulated minutes."""

import math
from random import Random

import pytest
from rate_simulation import simulate
from thorough import variants

from benchmarks.rate_servers import Bucket, FixedWindow, SlidingWindow
from benchmarks.rate_simulation import Callers, Simulation
from carecloud_async import RateLimit

SERVERS = {
    "windows": FixedWindow,
    "sliding": SlidingWindow,
    "burst of 10": lambda rate: Bucket(rate, 10),
    "burst of 40": lambda rate: Bucket(rate, 40),
}


@pytest.mark.parametrize(
    ("workers", "retry_after"),
    [(8, None), *variants((32, 1.0), (8, 1.0), (32, None))],
)
@pytest.mark.parametrize("server", SERVERS)
def test_configured_38_of_40(server, workers, retry_after):
    """A configured rate of 38 at a limit of 40 gets no 429, and 95 % of the rate."""
    result = simulate(
        SERVERS[server](40), RateLimit(requests_per_second=38), workers=workers, retry_after=retry_after, latency=0.1
    )
    assert result.pace() >= 0.95 * 38
    assert result.refused == 0


@pytest.mark.parametrize(
    ("workers", "latency", "retry_after"),
    [
        (workers, latency, retry_after)
        if (workers, latency, retry_after) == (8, 0.005, 1.0)
        else pytest.param(workers, latency, retry_after, marks=pytest.mark.thorough)
        for workers in (8, 16)
        for latency in (0.005, 0.05, 0.1)
        for retry_after in (None, 1.0)
    ],
)
@pytest.mark.parametrize("server", SERVERS)
def test_not_configured_it_finds_40(server, workers, latency, retry_after):
    """85 % of the limit with under 5 % refused, over 90 seconds from cold; 80 % where each refusal is a pause."""
    result = simulate(
        SERVERS[server](40), RateLimit.adaptive(), workers=workers, latency=latency, seconds=90, retry_after=retry_after
    )
    assert result.pace(until=90) >= (0.85 if retry_after is None else 0.75) * 40
    assert result.share_refused < 0.05


@pytest.mark.parametrize(("limit", "workers", "least"), [(5, 4, 0.75), *variants((10, 8, 0.75), (200, 16, 0.4))])
@pytest.mark.parametrize("server", SERVERS)
def test_other_limits(server, limit, workers, least):
    """Small limits and large ones; one whose bursts say little about it is found more slowly."""
    result = simulate(SERVERS[server](limit), RateLimit.adaptive(), workers=workers, latency=0.03, retry_after=1.0)
    assert result.pace() >= least * limit
    assert result.share_refused < 0.08


@pytest.mark.parametrize(("limit", "least", "most"), [(5, 0.7, 0.2), (10, 0.7, 0.1), (40, 0.55, 0.06)])
def test_a_short_job_on_a_bucket_of_one(limit, least, most):
    """If jitter of the network alone causes refusals, the search serves most of the limit with few refusals."""
    result = simulate(Bucket(limit, 1), RateLimit.adaptive(), workers=8, latency=0.01, seconds=math.inf, requests=600)
    assert result.share_of(limit) >= least
    assert result.share_refused < most


@pytest.mark.parametrize("server", ["sliding", *variants("burst of 10")])
def test_a_limit_that_falls_and_rises_is_followed(server):
    """40, then 20, then 80 a second: within a minute of each change the rate is near."""
    result = simulate(
        SERVERS[server](40),
        RateLimit.adaptive(),
        workers=16,
        seconds=210,
        retry_after=1.0,
        change={60: 20, 120: 80},
    )
    assert result.pace(20, 60) >= 0.75 * 40
    assert result.pace(80, 120) >= 0.75 * 20
    assert result.pace(180, 210) >= 0.7 * 80
    assert result.share_refused < 0.03


def test_a_server_without_a_limit_is_never_paced():
    """Without a 429 no pace is set: calls leave as fast as the workers make them."""
    result = simulate(SlidingWindow(10**9), RateLimit.adaptive(), workers=8, latency=0.01, seconds=5)
    assert result.pace(until=5) > 700
    assert result.refused == 0


class Erratic:
    """Refuses a part of the calls at random, and has no limit."""

    rate = math.inf

    def __init__(self, part, seed):
        self._part = part
        self._random = Random(seed)

    def admit(self, now):
        return self._random.random() >= self._part


@pytest.mark.parametrize("part", [0.01, *variants(0.02)])
@pytest.mark.parametrize("seed", [1, *variants(2)])
def test_refusals_at_random_lose_no_call(part, seed):
    """Where 429s come at random calls are slower, and all are served."""
    simulation = Simulation(Erratic(part, seed), RateLimit.adaptive(), Callers(number=20, latency=0.03), seed=seed)
    outcome = simulation.run(seconds=60)
    assert outcome.lost == 0
    assert outcome.pace(30, 60) > 10


def test_a_server_that_spaces_calls_out_is_not_hammered():
    """A limiter without any burst refuses what comes a moment early; a tenth of the calls at most are refused."""
    result = simulate(Bucket(40, 1), RateLimit.adaptive(), workers=8, latency=0.01, retry_after=1.0)
    assert result.share_refused < 0.1
    assert result.pace() > 5
