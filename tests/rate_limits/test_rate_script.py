"""The script for Redis and the model in Python say the same."""

import json
import uuid
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from thorough import examples

from carecloud_async._calls.rate_limits.model import SLOWEST, TICK, RateModel
from carecloud_async._calls.rate_limits.shared_script import SCRIPT

START = 1_700_000_000.0

histories = st.lists(
    st.tuples(st.floats(0.02, 0.5), st.integers(0, 40), st.booleans(), st.sampled_from([0.0, 0.0, 2.0])), max_size=10
)


class Shared:
    """A state in Redis that one process uses without pause."""

    def __init__(self, url, limit):
        self._redis = Redis.from_url(url)
        self._script = self._redis.register_script(SCRIPT.replace("redis.call('TIME')", "{ARGV[#ARGV], '0'}"))
        self._keys = [f"{{{uuid.uuid4().hex}}}:{name}" for name in ("state", "members", "history")]
        self._limit = limit

    def ask(self, now, *, served=0, served_age=0, refused_age="", asked=0, wanted=2000, waits=1):
        arguments = [
            "me",
            0,
            self._limit,
            wanted,
            waits,
            served,
            served_age,
            refused_age,
            asked,
            0,
            int(refused_age != ""),
        ]
        return SimpleNamespace(**json.loads(self._script(self._keys, [*arguments, f"{now:.6f}"])))

    def write_history(self, fields):
        self._redis.hset(self._keys[2], mapping=fields)

    def close(self):
        self._redis.delete(*self._keys)
        self._redis.close()


@settings(max_examples=examples(300))
@given(limit=st.floats(2, 500), history=histories)
def test_both_believe_the_same(redis_server, limit, history):
    """After the same calls, refusals and pauses: the same limit and the same rate."""
    shared, model = Shared(redis_server.url, limit), RateModel(limit=limit, origin=START)
    shared.ask(START)
    now = START
    try:
        for seconds, served, refused, asked in history:
            now += seconds
            model.served += served
            model.early_served += served
            model.history.add(now, served)
            if refused:
                shared.ask(now, served=served, refused_age=0.01, asked=asked)
                assert model.on_throttled(now - 0.01, now, asked=asked)
                pause = max(model.next_pause(), asked) + TICK
                shared.ask(now + pause / 3, waits=0)
                shared.ask(now + pause * 2 / 3, waits=0)
                now += pause
                assert shared.ask(now).probe
                model.next_pause()
                shared.ask(now + 0.01, served=1, served_age=0.005)
                model.on_success(now + 0.005, now + 0.01, latency=0.0)
                now += 0.01
            else:
                shared.ask(now, served=served, served_age=0.005)
        turn = shared.ask(now)
    finally:
        shared.close()
    assert turn.limit == pytest.approx(max(model.limit, SLOWEST), rel=0.05)
    assert turn.rate == pytest.approx(min(model.rate(now), 1e7), rel=0.05)


def test_a_history_that_makes_no_sense_is_no_calls(redis_server):
    """A refusal soon after a fresh state reads a history in which another program wrote: it counts nothing."""
    shared = Shared(redis_server.url, 40.0)
    try:
        shared.ask(START)
        shared.write_history({"1": "rubbish", "2": "-3 4", "3": ""})
        turn = shared.ask(START + 0.5, served=10, refused_age=0.01)
    finally:
        shared.close()
    assert turn.waiting
    assert SLOWEST <= turn.limit <= 40
