"""`PageReader` on simulated servers, in virtual time: 20 pages of 1,000 at once, halved where that is too much."""

import math
from dataclasses import replace
from statistics import median
from types import SimpleNamespace

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from benchmarks.simulated import Server, Simulation
from benchmarks.simulated_reading import MOST_REQUESTS, SimulatedCaller, export, prefetch, source_of
from benchmarks.virtual_time import run_virtually
from carecloud_async._lists.export.reading.pages import RawPageReader
from carecloud_async._lists.paging.page_reader import FIRST, LARGEST, TOO_LONG

LONG = 100_000


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


def test_after_a_first_page_twenty_large_ones_are_requested():
    """The first page asks for 200 records; then pages of 1,000 are requested, 20 at once."""
    simulation = requests_of(Server(title="quick", seconds=lambda _: 0.05, records=LONG))
    counts = [count for _, count in simulation.requests]
    assert (counts[0], set(counts[1:])) == (FIRST, {LARGEST})
    assert simulation.most_at_once == MOST_REQUESTS


@given(server=servers())
@settings(max_examples=examples(10), deadline=None)
def test_plan_keeps_to_its_bounds(server):
    """Never more at once than connections, never a larger page than there may be."""
    simulation = requests_of(replace(server, records=LONG))
    assert 1 <= simulation.most_at_once <= MOST_REQUESTS
    counts = [count for _, count in simulation.requests]
    assert all(1 <= count <= LARGEST for count in counts)


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


def test_pages_that_take_too_long_are_halved():
    """A server that comes to need a minute for a large page is asked for pages that it makes in a few seconds."""
    answers = []

    def slow(records):
        answers.append(records)
        return 0.05 if len(answers) < 100 else 0.012 * records

    server = Server(title="slow", seconds=slow, records=400_000)
    counts = [count for _, count in requests_of(server).requests]
    assert max(counts) == LARGEST
    assert 0.012 * median(counts[-200:]) <= TOO_LONG  # now and then a larger one is tried
    assert min(counts) >= 100


def test_what_was_halved_grows_back():
    """After a bad quarter of an hour pages become as large again as the server makes them quickly."""
    answers = []

    def hiccup(records):
        answers.append(records)
        return 6.0 if 100 <= len(answers) < 150 else 0.05

    server = Server(title="hiccup", seconds=hiccup, records=800_000)
    counts = [count for _, count in requests_of(server).requests]
    assert min(counts[100:200]) < LARGEST / 2
    assert counts[-1] == LARGEST


def test_the_width_is_halved_where_the_page_size_was_given():
    """A page that takes too long halves the requests at once, down to one; quick pages let them grow back."""
    now, durations = [0.0], []

    async def answer(_, count):
        now[0] += durations.pop()
        return [b"{}"] * count, 10**6, 0.0

    clock = SimpleNamespace(monotonic=lambda: now[0])
    source = source_of(SimulatedCaller(answer, clock, SimpleNamespace(rate=None)), count=200)
    reader = RawPageReader(source, "auto")

    async def take(*seconds):
        durations.extend(seconds)
        while durations:
            await reader.get(0, reader.count)
        return reader.width, reader.count

    async def work():
        assert await take(1.0) == (20, 200)
        assert await take(6.0) == (10, 200)
        assert await take(6.0, 6.0, 6.0, 6.0) == (1, 200)
        assert await take(*[1.0] * 64) == (2, 200)
        assert await take(*[1.0] * 64 * 4) == (20, 200)

    anyio.run(work)
