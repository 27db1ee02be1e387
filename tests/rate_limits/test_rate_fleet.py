"""How processes find and keep a limit together: simulated time, the real script on a real Redis."""

import uuid
from functools import partial

import pytest
from fleet_simulation import simulate_fleet
from thorough import variants

from benchmarks.rate_servers import Bucket
from benchmarks.rates import SERVERS, SPACED

HOUR = 3600.0
NUMBERS = "{%srate:https://x.example}:numbers"


class Unlimited:
    """Admits all."""

    rate = 1e9

    def admit(self, now):
        return True


@pytest.fixture
def fleet(redis_server):
    """Simulate a fleet with keys of its own; `numbers` is the name of the key of its numbers."""
    prefix = f"{uuid.uuid4().hex}:"
    run = partial(simulate_fleet, redis_server.url, prefix)
    run.numbers = NUMBERS % prefix
    return run


@pytest.mark.parametrize(
    ("server", "limit"),
    [
        *variants((SPACED, 40)),
        ("fixed window", 40),
        *variants(("bucket of 10", 40), ("bucket of 40", 40), ("sliding window", 10), ("sliding window", 40)),
        *variants((SPACED, 10)),
    ],
)
def test_a_fleet_finds_the_limit_as_one_process_does(fleet, server, limit):
    """0.85 of the limit with a tenth refused, 0.6 of a bucket of 1; a busy process uses what others leave."""
    outcome = fleet(SERVERS[server](limit), callers=(12, 4, 2, 2), requests=600, seed=4)
    assert outcome.rate >= (0.6 if server == SPACED else 0.85) * limit
    assert outcome.share_refused < 0.1
    assert outcome.lost == 0


def test_a_server_without_a_limit_costs_a_fleet_little(fleet):
    """Twenty callers of four processes have their 2,000 calls in hardly more time than their round trips take."""
    outcome = fleet(Unlimited(), callers=(5,) * 4, requests=2000)
    assert max(outcome.served) < 1.2 * 2000 / 20 * 0.03


@pytest.mark.parametrize(
    ("size", "rate", "round_trip"),
    [
        (4, 100, 0.1),
        *variants((20, 2, 0.0006), (4, 100, 0.0006), (20, 2, 0.1), (100, 20, 0.0006), (100, 20, 0.1)),
    ],
)
def test_a_configured_rate_is_kept_and_used(fleet, size, rate, round_trip):
    """0.95 of it, 0.9 with a slow Redis, also where the processes are more than the calls a second."""
    outcome = fleet(
        Unlimited(), callers=(8 if size == 4 else 1,) * size, requests=300, configured=rate, round_trip=round_trip
    )
    assert (0.95 if round_trip < 0.01 else 0.9) * rate <= outcome.rate <= 1.05 * rate + 1


@pytest.mark.parametrize("size", [3, *variants(12)])
def test_slots_that_come_late_from_a_very_slow_redis_are_used(fleet, size):
    """Redis takes 0.8 s to answer, longer than a slot lasts: few callers still have one call a round trip each."""
    outcome = fleet(Unlimited(), callers=(4,) * size, requests=200, configured=100, round_trip=0.8, seconds=60)
    assert 0.8 * 4 * size <= outcome.rate <= 1.05 * 100 + 1


@pytest.mark.parametrize("latency", [0.005, *variants(0.03)])
@pytest.mark.parametrize(("calls", "gap"), [(40, 2), *variants((300, 30), (30, 2), (40, 30))])
@pytest.mark.parametrize("size", [4, *variants(12, 20)])
def test_what_a_process_that_is_gone_has_measured_slows_no_other(fleet, calls, gap, latency, size):
    """Fresh processes serve 0.85 of the limit from the third second on, as from cold."""
    first = fleet(Bucket(40, 10), callers=(1,), requests=calls, latency=0.03)
    later = max(first.served) + gap
    outcome = fleet(Bucket(40, 10), callers=(5,) * size, requests=1e9, seconds=10, latency=latency, later=later)
    assert outcome.pace(0, 3) >= 0.75 * 40
    assert outcome.pace(3, 10) >= 0.85 * 40


@pytest.mark.parametrize("size", [12, *variants(4, 20)])
def test_first_calls_belong_to_the_fleet(fleet, size):
    """Processes that begin together have ten calls under way in all: few more are refused than of one process."""
    outcome = fleet(Bucket(40, 10), callers=(5,) * size, requests=30, latency=0.1)
    assert len(outcome.refused) < 20


def step(seconds):
    def change(_redis, limiters, _gone):
        for limiter in limiters:
            limiter.pace.step += seconds

    return change


def flush(redis, _limiters, _gone):
    redis.flushdb()


def end_half(_redis, limiters, gone):
    gone += limiters[::2]


EVENTS = {
    "an hour back": step(-HOUR),
    "an hour ahead": step(HOUR),
    "flushed": flush,
    "half of the processes gone": end_half,
}


@pytest.mark.parametrize("configured", [None, *variants(40)])
@pytest.mark.parametrize("event", [*variants("an hour back", "an hour ahead"), "flushed", "half of the processes gone"])
def test_clock_steps_and_flushes_stop_nothing(fleet, event, configured):
    """Whatever happens to Redis or to a process, calls go on at once, and the rate is back within ten seconds."""
    outcome = fleet(
        Bucket(40, 10), callers=(5,) * 4, requests=1e9, seconds=18, configured=configured, events={5: EVENTS[event]}
    )
    assert outcome.pace(5, 8) > 0.2 * 40
    assert outcome.pace(13, 18) >= 0.85 * 40


@pytest.mark.parametrize("size", [4, *variants(20)])
def test_without_redis_the_parts_of_all_processes_are_the_limit(fleet, size):
    """Redis goes away: each process goes on with its part, not all at the same moment, and hardly a call is refused."""

    def leave(_redis, limiters, _gone):
        for limiter in limiters:
            limiter.pace.away = True

    outcome = fleet(Bucket(40, 10), callers=(5,) * size, requests=1e9, seconds=18, events={10: leave})
    assert outcome.pace(10, 18) >= 0.85 * 40
    assert sum(at >= 10 for at in outcome.refused) <= 0.05 * 8 * 40


@pytest.mark.parametrize("kind", ["string", *variants("list")])
def test_a_key_of_another_kind_is_replaced(fleet, kind):
    """Another program wrote under the same name."""

    def overwrite(redis, _limiters, _gone):
        redis.delete(fleet.numbers)
        redis.set(fleet.numbers, "x") if kind == "string" else redis.rpush(fleet.numbers, "x")

    outcome = fleet(Bucket(40, 10), callers=(5,) * 4, requests=1e9, seconds=14, events={4: overwrite})
    assert outcome.pace(9, 14) >= 0.85 * 40
