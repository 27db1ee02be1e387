"""Look-ups that the server refuses because of one value."""

import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people, read

from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    return FakeClock()


async def test_a_value_that_cannot_be_looked_up_refuses_its_row_alone(clock, tmp_path):
    """Rows whose key makes the server refuse a look-up are refused with column and reason; the others are written."""
    rows = people(40)
    for number in (3, 29):
        rows[number]["email"] = f"!{number}@example.com"
    server, results = CustomerServer(clock), tmp_path / "r.jsonl"
    async with client_of(server, clock) as client:
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, results=results)
    assert counts(report) == {"created": 38, "refused": 2}
    assert read(results)[29]["reasons"] == ["personal_information.email: invalid_value_format"]
    assert server.requests < 1 + 25 + 38


async def test_a_writer_refuses_a_row_whose_key_cannot_be_looked_up(clock):
    """A writer refuses such a row too."""
    async with (
        client_of(CustomerServer(clock), clock) as client,
        client.customers.bulk_writer(match="email", defaults=SOURCE) as writer,
    ):
        result = await writer.write({"email": "!@example.com", "language_id": "en"})
        assert (await writer.write(people(1)[0])).outcome == "created"
    assert (result.outcome, result.reasons) == ("refused", ("personal_information.email: invalid_value_format",))
