"""Faults that attacks found in earlier versions: answers of servers that contradict themselves or lack something."""

import json

import httpx
import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, people, read
from memory_servers import client_of

from carecloud_async.models import CardInput
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


@pytest.fixture
def sandbox(clock):
    return Sandbox(customers=10, seed=1, clock=clock.time)


class WithoutIds(httpx.AsyncBaseTransport):
    """A server whose lists show records without one of their ids."""

    def __init__(self, server, name):
        self.server, self.name = server, name

    async def handle_async_request(self, request):
        answer = await self.server.handle_async_request(request)
        if request.method != "GET":
            return answer
        data = json.loads(await answer.aread())["data"]
        for records in data.values():
            for record in records if isinstance(records, list) else ():
                record.pop(self.name, None)
        return httpx.Response(200, json={"data": data})


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
async def test_an_empty_look_up_whose_total_is_not_0_is_read_again(server, clock, records):
    """An empty page that says that there is a record is read again, and the record is found and not doubled."""
    server.add("new0@example.com", last_name="Theirs")
    async with client_of(OtherReads(server, [{"customers": records, "total_items": 1}]), clock) as client:
        report = await client.customers.bulk_write(people(1), **BY_EMAIL)
    assert counts(report) == {"updated": 1}
    assert server.emails() == {"new0@example.com": 1}


@pytest.mark.parametrize("total", [{"total_items": 0}, {"total_items": None}, {}])
async def test_an_empty_look_up_is_one_request(server, write, total):
    """An empty page whose total is 0 or missing is believed at once."""
    answers = OtherReads(server, [{"customers": [], **total}])
    report = await write(people(1), transport=answers)
    assert counts(report) == {"created": 1}
    assert answers.reads == 1


@pytest.mark.parametrize("last_name", ["Theirs", "New"])
async def test_a_record_without_its_id(server, clock, tmp_path, last_name):
    """A row whose record is shown without an id is refused, since its parts could not be written."""
    results = tmp_path / "r.jsonl"
    server.add("new0@example.com", first_name="New", last_name="Theirs", language_id="en")
    rows = people(1, last_name=last_name, card_number="5", card_type_id="t1")
    async with client_of(WithoutIds(server, "customer_id"), clock) as client:
        report = await client.customers.bulk_write(rows, results=results, **BY_EMAIL)
    assert counts(report) == {"refused": 1}
    assert read(results)[0]["reasons"] == ["email: the record with this key has no id"]
    assert server.sent == []


async def test_a_free_card_without_its_id(sandbox, clock, tmp_path):
    """A free card that is shown without its id is not given away, and the row says so."""
    results = tmp_path / "r.jsonl"
    async with connect(sandbox, clock=clock) as client:
        await client.cards.create(CardInput(card_type_id=CARD_TYPE, card_number="5", state=1))
    async with connect(sandbox, clock=clock, transport=WithoutIds(sandbox.transport(), "card_id")) as client:
        report = await client.customers.bulk_write(people(1, card_number="5"), results=results, **BY_EMAIL)
    assert counts(report) == {"refused": 1}
    assert read(results)[0]["reasons"] == ["card_number: the record has no id"]


async def test_a_create_that_is_refused_after_its_answer_was_lost(server, write, tmp_path):
    """A create took effect, its answer was lost, and lists show it late: a second one that is refused is `unknown`."""
    results = tmp_path / "r.jsonl"
    server.faults = ["after"]

    class Late(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "POST" and server.customers:
                param = {"name": "customer.personal_information.email", "reason": "already_exists"}
                return httpx.Response(400, json={"error": {"error_data": {"invalid_params": [param]}}})
            if request.method == "GET":
                return httpx.Response(200, json={"data": {"customers": [], "total_items": 0}})
            return await server.handle_async_request(request)

    report = await write(people(1), results=results, transport=Late())
    assert counts(report) == {"unknown": 1}
    refusal, doubt = read(results)[0]["reasons"]
    assert refusal == "customer.personal_information.email: already_exists"
    assert "an earlier answer was lost" in doubt


async def test_an_update_that_is_refused_after_its_answer_was_lost(server, clock):
    """An update makes no record, so that its refusal is believed, whatever became of an earlier request."""
    row = {"customer_id": server.add("a@example.com", last_name="Old"), "last_name": "New"}
    server.faults = ["before"]

    class Taken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "PUT" and server.sent:
                param = {"name": "customer.personal_information.email", "reason": "already_exists"}
                return httpx.Response(400, json={"error": {"error_data": {"invalid_params": [param]}}})
            return await server.handle_async_request(request)

    async with client_of(Taken(), clock) as client:
        assert counts(await client.customers.bulk_write([row], match="customer_id")) == {"refused": 1}


async def test_a_value_that_is_refused_after_an_answer_was_lost(server, write, tmp_path):
    """A create that is refused for a value was refused for it before too, whatever its first answer was."""
    results = tmp_path / "r.jsonl"
    server.faults = ["before"]
    report = await write(people(1, last_name="Refused"), results=results)
    assert counts(report) == {"refused": 1}
    assert read(results)[0]["reasons"] == ["customer.personal_information.last_name: not_allowed_value"]
