"""The machine of one write: its drawing, and how often a write is tried."""

import re
from collections import Counter

import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people

from carecloud_async.bulk import machine
from carecloud_async.bulk.machine import TRANSITIONS, Move, State


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "times", "reason"),
    [
        (500, 3, "the server failed on it 3 times: 500"),
        (503, 6, "the server failed on it 6 times: 503"),
        ("before", 6, "the server failed on it 6 times: 504"),
        ("cut before", 6, "sent 6 times: each time the answer was lost, and no look-up showed the row's values"),
    ],
)
async def test_how_often_a_write_is_sent(clock, fault, times, reason):
    """Three equal failures of the server, six of a proxy perhaps, six lost answers: then the row is refused."""
    server = CustomerServer(clock)
    server.writes = [fault] * 99
    async with client_of(server, clock) as client:
        report = await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    assert (counts(report), report.reasons, len(server.sent)) == ({"refused": 1}, {reason: 1}, times)


def test_the_drawing_is_the_table():
    """The drawing at the top of the file has each state once and each arrow of the table; its legend is the table."""
    drawing, _, legend = machine.__doc__.split("```text")[1].partition("    move ")
    words = Counter(re.findall("[a-z]{2,}(?: [a-z]+)*", drawing))
    assert words == {state.name.lower(): 1 for state in State} | {
        move.value: len(sources) for move, (sources, _) in TRANSITIONS.items()
    }
    arrows = [line.split("->") for line in legend.partition("```")[0].splitlines() if "->" in line]
    told = {
        (move, before.strip(), after.split()[0])
        for source, after in arrows
        for move in Move
        if source.strip().startswith(f"{move.value} ")
        for before in source.strip().removeprefix(move.value).split(",")
    }
    assert told == {
        (move, before.name.lower(), target.name.lower())
        for move, (sources, target) in TRANSITIONS.items()
        for before in sources
    }
