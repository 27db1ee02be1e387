"""`AutoPlan` on simulated servers, in virtual time: it finds what is fast, keeps to its bounds and then stays."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.auto import TARGET
from benchmarks.simulated import SERVERS, Server, Simulation
from benchmarks.simulated_reading import MOST_REQUESTS, export, prefetch, seconds
from benchmarks.virtual_time import run_virtually
from carecloud_async.paging.auto_bounds import WIDTH
from carecloud_async.paging.auto_plan import FIRST, AutoPlan
from carecloud_async.paging.delivery_rate import DeliveryRate, Outcome, Trial
from carecloud_async.paging.hill_climb import LARGE, SearchBounds, Setting, search
from carecloud_async.paging.trusted_count import MAX_COUNT

#: A setting of the grid that is about the best for each of `SERVERS`.
GOOD = [(20, 1000), (2, 5000), (8, 1000), (20, 100), (20, 200), (8, 100), (8, 5000)]


#: A list that is long enough for every search to end.
LONG = 300_000


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


@pytest.mark.parametrize("read", [prefetch, export])
@pytest.mark.parametrize(("server", "good"), list(zip(SERVERS, GOOD, strict=True)), ids=[one.title for one in SERVERS])
def test_it_comes_near_the_best_numbers(server, good, read):
    """Its time, cold start included, is near that of numbers that know the server, and below that of pages of 100."""
    auto = seconds(server, read, "auto", "auto")
    assert seconds(server, read, *good) >= TARGET * auto
    assert auto <= 1.01 * seconds(server, read, WIDTH, 100)


@pytest.mark.parametrize("read", [prefetch, export])
def test_latency_alone_costs_two_small_flights(read):
    """Where a page of any size takes the same time, the third flight is of large pages, and more of them."""
    server = Server(title="far", seconds=lambda _: 0.05, records=30_000)
    counts = [count for _, count in requests_of(server, read).requests]
    assert counts[:9] == [FIRST] + [400] * 8
    assert counts.count(400) < 2 * WIDTH
    assert max(counts[: 2 * WIDTH]) >= LARGE


@pytest.mark.parametrize("read", [prefetch, export])
def test_what_a_capped_page_lacks_is_asked_for_at_once(read):
    """A server that caps pages above the first one costs little against numbers that know the cap."""
    server = Server(title="capped at 500", seconds=lambda _: 0.05, cap=500, records=40_000)
    assert seconds(server, read, 20, 500) >= 0.8 * seconds(server, read, "auto", "auto")


@given(server=servers())
@settings(max_examples=5, deadline=None, derandomize=True, database=None)
def test_it_keeps_to_its_bounds_and_settles(server):
    """Never more at once than connections, never a larger page than there may be; late pages are asked for alike."""
    simulation = requests_of(replace(server, records=LONG))
    assert 1 <= simulation.most_at_once <= MOST_REQUESTS
    counts = [count for _, count in simulation.requests]
    assert all(1 <= count <= MAX_COUNT for count in counts)
    late = [count for offset, count in simulation.requests if offset > 0.7 * LONG]
    assert len(set(late)) == 1


@given(server=servers())
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
def test_it_is_no_slower_than_pages_of_a_hundred(server):
    """On whatever server that stays as it is, the search costs little of the time of 8 pages of 100."""
    server = replace(server, records=LONG)
    assert seconds(server, prefetch, "auto", "auto") <= 1.15 * seconds(server, prefetch, WIDTH, 100)


@given(server=servers(), width=st.sampled_from([1, 2, 5, 30]))
@settings(max_examples=5, deadline=None, derandomize=True, database=None)
def test_a_width_that_was_given_stays(server, width):
    """The page size is found for the width that a user gave, also above that of the client's connections."""
    assert requests_of(server, width=width).most_at_once <= width


@given(server=servers(), count=st.sampled_from([40, 500]))
@settings(max_examples=5, deadline=None, derandomize=True, database=None)
def test_a_count_that_was_given_stays(server, count):
    """The width is found for the page size that a user gave."""
    simulation = requests_of(server, export, count=count)
    assert {asked for _, asked in simulation.requests} == {count}
    assert simulation.most_at_once <= MOST_REQUESTS


@pytest.mark.parametrize("read", [prefetch, export])
def test_behind_a_limiter_pages_grow_though_their_records_cost_more(read):
    """Requests are what is scarce: a larger page is kept as long as the server makes it before the next one is let."""
    server = Server(title="dearer", seconds=lambda n: 1e-5 * n * (1.5 if n > 1000 else 1.0), rate=20.0, records=LONG)
    counts = [count for _, count in requests_of(server, read).requests]
    assert counts[-1] == MAX_COUNT
    assert len(counts) < 2 * LONG / MAX_COUNT


@pytest.mark.parametrize("read", [prefetch, export])
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


def settle(rate_of, *, start=(8, 200), widest=20):
    """Run a search on a function of width and count; return the setting that it ends with, and all that it tried."""
    bounds = SearchBounds(most_records=lambda _width, _pace: MAX_COUNT, most_requests=lambda _: widest)
    searching = search(Setting(width=start[0], count=start[1]), bounds)
    tried = next(searching)
    seen = []
    while True:
        setting = tried.setting
        seen.append(setting)
        rate = rate_of(setting.width, setting.count)
        pace = setting.width / rate
        outcome = Outcome(rate=rate, pace=pace, slowest=pace, fastest=pace)
        try:
            tried = searching.send(lambda outcome=outcome: outcome)
        except StopIteration as end:
            return end.value, seen


@given(
    best_width=st.integers(1, 40),
    best_count=st.integers(1, 8000),
    widest=st.integers(8, 40),
)
def test_a_search_ends_near_the_top_of_a_hill(best_width, best_count, widest):
    """Of a rate with one top, it ends in few steps with about the best that it met."""

    def rate_of(width, count):
        return 1e4 / (1 + abs(math.log(width / best_width))) / (1 + abs(math.log(count / best_count)))

    found, seen = settle(rate_of, widest=widest)
    assert len(seen) < 20
    assert all(1 <= one.width <= widest and 1 <= one.count <= MAX_COUNT for one in seen)
    assert rate_of(found.width, found.count) >= 0.9 * max(rate_of(one.width, one.count) for one in seen)


def test_a_flat_server_keeps_its_width():
    """Where no number changes the throughput, pages grow by one step and the width stays."""
    found, seen = settle(lambda _width, _count: 5000.0)
    assert found == Setting(width=8, count=400)
    assert len(seen) == 3


def test_the_throughput_is_that_of_all_requests_together():
    """Two requests that overlap are measured at what both delivered."""
    delivery = DeliveryRate()
    trial = Trial(2)
    first = delivery.begin(100, trial=trial, now=0.0)
    second = delivery.begin(100, trial=trial, now=0.0)
    assert delivery.end(first, 100, now=1.0, sent_at=None).rate == 100.0
    sample = delivery.end(second, 100, now=2.0, sent_at=1.5)
    assert (sample.rate, sample.pace, sample.held) == (100.0, 0.005, True)
    third = delivery.begin(100, trial=trial, now=3.0)
    assert delivery.end(third, 0, now=4.0, sent_at=None) is None


def test_pages_that_are_all_slower_end_a_trial_at_once():
    """Two pages slower than the slowest before are enough to take a step back."""
    before = Outcome(rate=100.0, pace=0.01, slowest=0.01, fastest=0.01)
    trial = Trial(8, before=lambda: before)
    delivery = DeliveryRate()
    certain = []
    for end in (1.0, 2.0):
        request = delivery.begin(10, trial=trial, now=0.0)
        certain.append(trial.add(delivery.end(request, 10, now=end, sent_at=None)))
    assert certain == [False, True]
    assert trial.outcome().slower


def test_a_plan_of_one_connection_asks_for_one_page_at_a_time():
    """The width begins no higher than the connections."""
    plan = AutoPlan(width="auto", count="auto", most_requests=1, now=lambda: 0.0)
    assert (plan.width, plan.settled) == (1, False)
