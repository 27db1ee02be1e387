"""How four processes find an untold limit together, in simulated jobs of 600 calls on a real Redis."""

import pytest
from fleet_simulation import simulate_fleet

from benchmarks.rates import LEAST_SERVED, MOST_REFUSED, SERVERS
from carecloud_async.calls.slow_start import FIRST_CALLS

#: A bucket of 1 refuses what a late timer sends a moment after its turn, and the call behind it.
SPACED = "bucket of 1"


@pytest.mark.parametrize(
    ("server", "limit"), [*((server, 40) for server in SERVERS), (SPACED, 10), ("sliding window", 10)]
)
def test_a_fleet_finds_the_limit_as_one_process_does(redis_server, server, limit):
    """0.85 of the limit with under 5 % refused, 0.75 of a bucket of 1; a busy process uses what others leave."""
    outcome = simulate_fleet(
        redis_server.url, f"find {server} {limit}:", SERVERS[server](limit), callers=(12, 4, 2, 2), requests=600
    )
    assert outcome.rate >= (0.75 if server == SPACED else LEAST_SERVED) * limit
    assert outcome.share_refused < MOST_REFUSED
    assert outcome.lost == 0


class Unlimited:
    """Admits all, and notes when."""

    rate = 1e9

    def __init__(self):
        self.arrivals = []

    def admit(self, now):
        self.arrivals.append(now)
        return True


def test_a_cold_fleet_starts_carefully(redis_server):
    """Nobody knows the limit yet: until the first answers, all processes together have a few calls under way."""
    server = Unlimited()
    simulate_fleet(redis_server.url, "cold:", server, callers=(20,) * 4, requests=100, latency=0.2)
    assert sum(moment < server.arrivals[0] + 0.15 for moment in server.arrivals) == FIRST_CALLS


def test_a_server_without_a_limit_costs_a_fleet_little(redis_server):
    """Twenty callers of four processes have their 2,000 calls in hardly more time than their round trips take."""
    outcome = simulate_fleet(redis_server.url, "none:", Unlimited(), callers=(5,) * 4, requests=2000)
    assert max(outcome.served) < 1.2 * 2000 / 20 * 0.03
