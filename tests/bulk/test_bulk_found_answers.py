"""Faults that attacks found in earlier versions: answers of servers that contradict themselves or lack something."""

import httpx
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people

from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


@pytest.fixture
def clock():
    return FakeClock()


class OtherReads(httpx.AsyncBaseTransport):
    """A server whose answers to the first reads are replaced."""

    def __init__(self, server, answers):
        self.server, self.answers, self.reads = server, [*answers], 0

    async def handle_async_request(self, request):
        answer = await self.server.handle_async_request(request)
        if request.method == "GET":
            self.reads += 1
            if self.answers:
                return httpx.Response(200, json={"data": self.answers.pop(0)})
        return answer


@pytest.mark.parametrize("records", [[], None])
async def test_an_empty_look_up_whose_total_is_not_0_is_read_again(clock, records):
    """An empty page that says that there is a record is read again, and the record is found and not doubled."""
    server = CustomerServer(clock)
    server.add("new0@example.com", last_name="Theirs")
    async with client_of(OtherReads(server, [{"customers": records, "total_items": 1}]), clock) as client:
        report = await client.customers.bulk_write(people(1), **BY_EMAIL)
    assert counts(report) == {"updated": 1}
    assert server.emails() == {"new0@example.com": 1}


async def test_a_total_that_does_not_count_by_the_filter(clock):
    """A server whose totals are of the whole list: a page that is empty twice shows that there is no record."""
    server = CustomerServer(clock)
    answers = OtherReads(server, [{"customers": [], "total_items": 7}] * 2)
    async with client_of(answers, clock) as client:
        report = await client.customers.bulk_write(people(1), **BY_EMAIL)
    assert counts(report) == {"created": 1}
    assert answers.reads == 2


@pytest.mark.parametrize("total", [{"total_items": 0}, {"total_items": None}, {}])
async def test_an_empty_look_up_is_one_request(clock, total):
    """An empty page whose total is 0 or missing is believed at once."""
    server = CustomerServer(clock)
    answers = OtherReads(server, [{"customers": [], **total}])
    async with client_of(answers, clock) as client:
        report = await client.customers.bulk_write(people(1), **BY_EMAIL)
    assert counts(report) == {"created": 1}
    assert answers.reads == 1
