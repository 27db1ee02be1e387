"""`AutoPlan` on simulated servers, in virtual time: it finds what is fast, keeps to its bounds and then stays."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from benchmarks.auto import TARGET
from benchmarks.simulated import SERVERS, Server, Simulation
from benchmarks.simulated_reading import MOST_REQUESTS, export, prefetch, seconds
from benchmarks.virtual_time import run_virtually
from carecloud_async._lists.paging.auto_plan import FIRST, TOO_LONG, WIDTH, AutoPlan
from carecloud_async._lists.paging.trusted_count import MAX_COUNT

#: A setting of the grid that is about the best for each of `SERVERS`.
GOOD = [(20, 1000), (2, 5000), (8, 1000), (20, 100), (20, 200), (8, 100), (8, 5000)]
#: Both ways of reading take what the plan says.
READS = [prefetch, pytest.param(export, marks=pytest.mark.thorough)]

#: A list that is long enough for every search to end.
LONG = 200_000


@st.composite
def servers(draw):
    """A server that answers as fast from the first request to the last."""
    fixed = draw(st.sampled_from([0.001, 0.01, 0.05, 0.2]), label="seconds a page")
    each = draw(st.sampled_from([0.0, 1e-5, 1e-4, 4e-4]), label="seconds a record")
    steep = draw(st.sampled_from([math.inf, 100.0, 600.0]), label="slower beyond")
    return Server(
        title="any",
        seconds=lambda records: fixed + each * records * max(records / steep, 1.0),
        workers=draw(st.sampled_from([1, 2, 4, 10, 1000]), label="workers"),
        round_trip=draw(st.sampled_from([0.0, 0.01, 0.1]), label="round trip"),
        cap=draw(st.sampled_from([10**6, 10**6, 50, 100, 250, 1000]), label="cap"),
        rate=draw(st.sampled_from([None, None, None, 10.0, 50.0]), label="rate"),
        records=30_000,
    )


def requests_of(server, read=prefetch, width="auto", count="auto"):
    """Read a server's list; return its simulation when it is done."""

    async def work():
        simulation = Simulation(server)
        assert await read(simulation, width, count) == server.records
        return simulation

    return run_virtually(work())[0]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(("server", "good"), list(zip(SERVERS, GOOD, strict=True)), ids=[one.title for one in SERVERS])
def test_it_comes_near_the_best_numbers(server, good, read):
    """Its time, cold start included, is near that of numbers that know the server, and below that of pages of 100."""
    auto = seconds(server, read, "auto", "auto")
    assert seconds(server, read, *good) >= TARGET * auto
    assert auto <= 1.01 * seconds(server, read, WIDTH, 100)


def test_latency_alone_makes_pages_large():
    """Where a page of any size takes the same time, pages are doubled at every flight up to the largest."""
    server = Server(title="far", seconds=lambda _: 0.05)
    counts = [count for _, count in requests_of(server).requests]
    assert counts[: 1 + WIDTH] == [FIRST] + [2 * FIRST] * WIDTH
    assert counts[-1] == MAX_COUNT
    assert len(counts) < 100


@pytest.mark.parametrize("read", READS)
def test_what_a_capped_page_lacks_is_asked_for_at_once(read):
    """A server that caps pages above the first one costs little against numbers that know the cap."""
    server = Server(title="capped at 500", seconds=lambda _: 0.05, cap=500, records=40_000)
    assert seconds(server, read, 20, 500) >= 0.8 * seconds(server, read, "auto", "auto")


@given(server=servers())
@settings(max_examples=examples(10), deadline=None)
def test_it_keeps_to_its_bounds(server):
    """Never more at once than connections, never a larger page than there may be."""
    simulation = requests_of(replace(server, records=LONG))
    assert 1 <= simulation.most_at_once <= MOST_REQUESTS
    counts = [count for _, count in simulation.requests]
    assert all(1 <= count <= MAX_COUNT for count in counts)


@given(server=servers())
@settings(max_examples=examples(10), deadline=None, derandomize=True)
def test_it_is_no_slower_than_pages_of_a_hundred(server):
    """On a server that does not change, the search costs little compared with 8 pages of 100."""
    server = replace(server, records=LONG)
    assert seconds(server, prefetch, "auto", "auto") <= 1.3 * seconds(server, prefetch, WIDTH, 100)


@given(server=servers(), width=st.sampled_from([1, 2, 5, 30]))
@settings(max_examples=examples(10), deadline=None)
def test_a_width_that_was_given_stays(server, width):
    """The page size is found for the width that a user gave, also above that of the client's connections."""
    assert requests_of(server, width=width).most_at_once <= width


@given(server=servers(), count=st.sampled_from([40, 500]))
@settings(max_examples=examples(10), deadline=None)
def test_a_count_that_was_given_stays(server, count):
    """The width is found for the page size that a user gave."""
    simulation = requests_of(server, export, count=count)
    assert {asked for _, asked in simulation.requests} == {count}
    assert simulation.most_at_once <= MOST_REQUESTS


@pytest.mark.parametrize("read", READS)
def test_behind_a_limiter_pages_grow_though_their_records_cost_more(read):
    """Requests are what is scarce: a larger page is kept as long as the server makes it before the next one is let."""
    server = Server(title="dearer", seconds=lambda n: 1e-5 * n * (1.5 if n > 1000 else 1.0), rate=20.0, records=LONG)
    counts = [count for _, count in requests_of(server, read).requests]
    assert counts[-1] == MAX_COUNT
    assert len(counts) < 2 * LONG / MAX_COUNT


@pytest.mark.parametrize("read", READS)
def test_behind_a_limiter_pages_that_a_server_is_too_slow_for_are_not_kept(read):
    """Pages of four times the size that take sixteen times as long bring fewer records, scarce requests or not."""
    server = Server(title="steep", seconds=lambda n: 1e-6 * n * n, workers=1, rate=20.0, records=60_000)
    counts = [count for _, count in requests_of(server, read).requests]
    assert max(counts) > counts[-1]
    assert counts[-1] <= 800


def test_it_searches_again_where_the_server_has_changed():
    """A server that becomes slow beyond 200 records after a while is asked for smaller pages from then on."""
    answers = []

    def slow(records):
        answers.append(records)
        late = sum(answers) > 200_000
        return 0.02 + (1e-4 * records * max(records / 100, 1.0) if late else 0.0)

    server = Server(title="changing", seconds=slow, records=600_000)
    counts = [count for _, count in requests_of(server).requests]
    assert max(counts) >= 800
    assert counts[-1] < max(counts) / 2


@given(seed=st.integers(0, 999))
@settings(max_examples=examples(10), deadline=None)
def test_a_busy_machine_does_not_make_pages_small(seed):
    """Whatever delays other programs cause, pages never become smaller than those that follow the first one."""
    dice = random.Random(seed)
    server = Server(title="busy", seconds=lambda n: 0.02 + 1e-5 * n + dice.expovariate(4), records=100_000)
    assert len(requests_of(server, export).requests) <= 100_000 / 200


def test_pages_that_take_too_long_are_halved():
    """A server that comes to need a minute for a large page is asked for pages that it makes in a few seconds."""
    answers = []

    def slow(records):
        answers.append(records)
        return 0.05 if len(answers) < 100 else 0.012 * records

    server = Server(title="slow", seconds=slow, records=400_000)
    counts = [count for _, count in requests_of(server).requests]
    assert max(counts) == MAX_COUNT
    assert 0.012 * counts[-1] <= TOO_LONG
    assert min(counts) >= 100


def test_what_was_halved_grows_back():
    """After a bad quarter of an hour pages become as large again as the server makes them quickly."""
    answers = []

    def hiccup(records):
        answers.append(records)
        return 6.0 if 100 <= len(answers) < 150 else 0.05

    server = Server(title="hiccup", seconds=hiccup, records=2_000_000)
    counts = [count for _, count in requests_of(server).requests]
    assert min(counts[100:200]) < MAX_COUNT / 2
    assert counts[-1] == MAX_COUNT


def test_a_plan_of_one_connection_asks_for_one_page_at_a_time():
    """The width begins no higher than the connections."""
    plan = AutoPlan(width="auto", count="auto", most_requests=1, now=lambda: 0.0)
    assert plan.width == 1
