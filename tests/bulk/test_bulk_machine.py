"""How often one write is tried."""

import pytest
from bulk_tools import counts, people


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
async def test_how_often_a_write_is_sent(server, write, fault, times, reason):
    """Three equal failures of the server, six of a proxy perhaps, six lost answers: then the row is refused."""
    server.faults = [fault] * 99
    report = await write(people(1))
    assert (counts(report), report.reasons, len(server.sent)) == ({"refused": 1}, {reason: 1}, times)
