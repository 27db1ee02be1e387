"""How often one write is tried."""

import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people


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
