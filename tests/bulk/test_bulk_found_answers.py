"""Faults that attacks found in earlier versions: answers of servers that contradict themselves or lack something."""

import pytest
from bulk_tools import CARD_TYPE, SOURCE, connect, counts, people, read
from kit import RefusedError, data, through

from carecloud_async.models import CardInput
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

BY_EMAIL = {"match": "email", "defaults": SOURCE}


@pytest.fixture
def sandbox(clock):
    return Sandbox(customers=10, seed=1, clock=clock.time)


def without_ids(server, name):
    """A server whose lists show records without one of their ids."""

    def after(request, answer):
        if request.method == "GET":
            for records in (shown := answer.json()["data"]).values():
                for record in records if isinstance(records, list) else ():
                    record.pop(name, None)
            return data(shown)
        return None

    return through(server, after=after)


def with_first_look_up(server, answer):
    """A server whose answer to the first look-up is another one."""
    answers = [data(answer)]

    def before(request):
        return answers.pop() if answers and request.method == "GET" else None

    return through(server, before)


@pytest.mark.parametrize("records", [[], None])
async def test_an_empty_look_up_whose_total_is_not_0_is_read_again(server, write, records):
    """An empty page that says that there is a record is read again, and the record is found and not doubled."""
    server.add("new0@example.com", last_name="Theirs")
    first = {"customers": records, "total_items": 1}
    report = await write(people(1), transport=with_first_look_up(server, first))
    assert counts(report) == {"updated": 1}
    assert server.emails() == {"new0@example.com": 1}


@pytest.mark.parametrize("total", [{"total_items": 0}, {"total_items": None}, {}])
async def test_an_empty_look_up_is_one_request(server, write, total):
    """An empty page whose total is 0 or missing is believed at once."""
    report = await write(people(1), transport=with_first_look_up(server, {"customers": [], **total}))
    assert counts(report) == {"created": 1}
    assert server.requests == ["POST /users/actions/login", "POST /customers"]


@pytest.mark.parametrize("last_name", ["Theirs", "New"])
async def test_a_record_without_its_id(server, write, results, last_name):
    """A row whose record is shown without an id is refused, since its parts could not be written."""
    server.add("new0@example.com", first_name="New", last_name="Theirs", language_id="en")
    rows = people(1, last_name=last_name, card_number="5", card_type_id="t1")
    report = await write(rows, results=results, transport=without_ids(server, "customer_id"))
    assert counts(report) == {"refused": 1}
    assert read(results)[0]["reasons"] == ["email: the record with this key has no id"]
    assert server.sent == []


async def test_a_free_card_without_its_id(sandbox, clock, results):
    """A free card that is shown without its id is not given away, and the row says so."""
    async with connect(sandbox, clock=clock) as client:
        await client.cards.create(CardInput(card_type_id=CARD_TYPE, card_number="5", state=1))
    async with connect(sandbox, clock=clock, transport=without_ids(sandbox, "card_id")) as client:
        report = await client.customers.bulk_write(people(1, card_number="5"), results=results, **BY_EMAIL)
    assert counts(report) == {"refused": 1}
    assert read(results)[0]["reasons"] == ["card_number: the record has no id"]


@pytest.mark.parametrize(
    ("known", "reason", "outcome"),
    [
        (False, "already_exists", "unknown"),
        (False, "not_allowed_value", "refused"),
        (True, "already_exists", "refused"),
    ],
)
async def test_a_write_that_is_refused_after_its_answer_was_lost(server, write, results, known, reason, outcome):
    """The lost create may be why the second one is refused: not if it is for a value, nor that of an update."""
    param = ("customer.personal_information.email", reason)
    if known:
        server.add("new0@example.com", last_name="Old")
    server.faults = ["before"]
    answers = [None, RefusedError(400, param).answer]

    def before(request):
        if request.method != "GET" and request.url.path.split("/")[-2:][0] != "actions":
            return answers.pop(0)
        return None

    report = await write(people(1), results=results, transport=through(server, before))
    assert counts(report) == {outcome: 1}
    refusal, *doubt = read(results)[0]["reasons"]
    assert refusal == ": ".join(param)
    assert doubt == (["an earlier answer was lost, and the record may have been made then"] * (outcome == "unknown"))
