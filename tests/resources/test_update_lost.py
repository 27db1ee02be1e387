"""`update` after a lost answer: the record is read again before anything is sent once more."""

import json

import anyio
import httpx
import pytest
from kit import served

from carecloud_async import (
    BadRequestError,
    ConflictError,
    OutcomeUnknownError,
    ResponseCache,
    RetryPolicy,
    Timeout,
)

pytestmark = pytest.mark.anyio

BASE = {
    "customer_id": "8ea6",
    "personal_information": {"first_name": "Jane", "phone": 420777123456, "gender": None, "language_id": "cs"},
    "points": 1.10,
    "last_change": "2026-01-02 03:04:05",
}
CHANGES = {"personal_information": {"first_name": "Joan"}}
OTHERS = {"personal_information": {"last_name": "Doe"}}
FAULTS = {
    "reset": httpx.ReadError("reset"),
    "timeout": httpx.ReadTimeout("slow"),
    "500": httpx.Response(500),
    "502": httpx.Response(502, text="<html>"),
    "503": httpx.Response(503),
    "504": httpx.Response(504, text="<html>"),
    "unreadable": httpx.Response(200, text='{"data": {'),
    "page": httpx.Response(200, text="<html>maintenance"),
    "error": httpx.Response(200, json={"error": {"title": "no"}}),
}


#: The outcome of a PUT that never answers.
HANG = object()


class Server:
    """One customer: each PUT does what the test says, in turn; without a word of it, the PUT is stored."""

    def __init__(self, *puts):
        self.record = json.loads(json.dumps(BASE))
        self.script = list(puts)
        self.puts = []
        self.gets = 0
        #: Done before a GET is answered, by its number from 1.
        self.before_get = {}

    async def answer(self, request):
        if request.method == "GET":
            self.gets += 1
            self.before_get.get(self.gets, lambda: None)()
            headers = {"Cache-Control": "max-age=600"}
            if self.record is None:
                return httpx.Response(404, json={"error": {}})
            return httpx.Response(200, json={"data": self.record}, headers=headers)
        self.puts.append(json.loads(request.content))
        act = self.script.pop(0) if self.script else self.store
        outcome = act()
        if outcome is HANG:
            await anyio.sleep_forever()
        if isinstance(outcome, Exception):
            raise outcome
        return httpx.Response(204) if outcome is None else outcome

    def store(self):
        """Replace the record by what the last PUT holds."""
        kept = {name: BASE[name] for name in ("customer_id", "last_change")}
        self.record = kept | self.puts[-1]["customer"]

    def fail(self, fault, *, applied):
        """What a PUT does that ends in a fault, after it was stored or without."""

        def act():
            if applied:
                self.store()
            found = FAULTS[fault]
            return found if isinstance(found, Exception) else httpx.Response(found.status_code, content=found.content)

        return act

    def change(self, **person):
        """Another writer's change."""
        self.record["personal_information"] |= person

    def client(self, *, retry=None, **options):
        return served(self.answer, retry=retry or RetryPolicy(base=0.001), **options)


async def update(server, changes=None, **options):
    async with server.client(**options) as client:
        await client.customers.update("8ea6", CHANGES if changes is None else changes)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_a_lost_answer_is_looked_into(fault, applied):
    """Stored already, it is done after one PUT; not stored, the same PUT is sent again."""
    server = Server()
    server.script = [server.fail(fault, applied=applied)]
    await update(server)
    assert len(server.puts) == (1 if applied else 2)
    assert server.record["personal_information"]["first_name"] == "Joan"
    assert server.gets == 2
    assert server.puts[0] == server.puts[-1]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_another_writers_change_is_never_reverted(fault, applied):
    """If another writer changed the record before it is read again, nothing is sent, and the error says so."""
    server = Server()
    server.script = [server.fail(fault, applied=applied)]
    server.before_get[2] = lambda: server.change(last_name="Doe")
    with pytest.raises(ConflictError, match=r"the answer was lost.*last_name") as caught:
        await update(server)
    assert len(server.puts) == 1
    assert server.record["personal_information"]["last_name"] == "Doe"
    assert caught.value.may_have_happened
    assert "personal_information.last_name" in caught.value.fields
    assert "Doe" not in str(caught.value)


async def test_a_refused_repeat_does_not_hide_that_the_first_was_stored():
    """The first PUT is stored late, the repeat is refused: the update is done."""
    server = Server()

    def refuse():
        server.store()
        return httpx.Response(400, json={"error": {"error_data": {"invalid_params": []}}})

    server.script = [server.fail("reset", applied=False), refuse]
    await update(server)
    assert len(server.puts) == 2
    assert server.record["personal_information"]["first_name"] == "Joan"


async def test_a_refused_repeat_of_what_was_not_stored_says_that_it_may_be():
    """The refusal is raised, with the doubt that the lost first PUT leaves."""
    server = Server()
    server.script = [server.fail("reset", applied=False), lambda: httpx.Response(400, json={"error": {}})]
    with pytest.raises(BadRequestError) as caught:
        await update(server)
    assert caught.value.may_have_happened
    assert server.record == BASE


async def test_a_refusal_is_certain():
    """A PUT that is refused at once is neither looked into nor sent again."""
    server = Server(lambda: httpx.Response(400, json={"error": {}}))
    with pytest.raises(BadRequestError) as caught:
        await update(server)
    assert not caught.value.may_have_happened
    assert (len(server.puts), server.gets) == (1, 1)


async def test_repeats_end_with_the_policy():
    """As many PUTs as the policy has attempts, then the error that the outcome is unknown."""
    server = Server()
    server.script = [server.fail("503", applied=False)] * 9
    with pytest.raises(OutcomeUnknownError):
        await update(server, retry=RetryPolicy(base=0.001, attempts=3))
    assert len(server.puts) == 3
    server = Server()
    server.script = [server.fail("503", applied=True)]
    await update(server, retry=RetryPolicy(attempts=1))
    assert len(server.puts) == 1


async def test_the_budget_of_repeats_counts():
    """Without a repeat left in the client's budget nothing is sent again; the record is looked at all the same."""
    server = Server()
    server.script = [server.fail("reset", applied=False)] * 2
    policy = RetryPolicy(base=0.001, budget_reserve=0, budget_ratio=0, budget_per_second=0)
    with pytest.raises(OutcomeUnknownError):
        await update(server, retry=policy)
    assert (len(server.puts), server.gets) == (1, 2)


async def test_repeats_end_with_the_time():
    """A PUT that used up `Timeout.total` is looked into once and not sent again."""
    server = Server()
    server.script = [lambda: HANG]
    with pytest.raises(OutcomeUnknownError):
        await update(server, timeout=Timeout(total=2))
    assert (len(server.puts), server.gets) == (1, 2)


async def test_a_wait_beyond_the_time_is_not_begun():
    """A `Retry-After` longer than what is left of the time ends the update after one look, at once."""
    server = Server(lambda: httpx.Response(503, headers={"Retry-After": "25"}))
    with anyio.fail_after(60), pytest.raises(OutcomeUnknownError):
        await update(server, timeout=Timeout(total=10))
    assert (len(server.puts), server.gets) == (1, 2)


async def test_a_password_alone_is_sent_again():
    """What is never read back cannot be seen to be stored, so it is sent again, unless another change shows it."""
    server = Server()
    server.script = [server.fail("reset", applied=True)]
    await update(server, {"password": "Secret-1"})
    assert [sent["password"] for sent in server.puts] == ["Secret-1"] * 2
    server = Server()
    server.script = [server.fail("reset", applied=True)]
    await update(server, CHANGES | {"password": "Secret-1"})
    assert len(server.puts) == 1


async def test_a_record_that_is_gone_is_a_conflict():
    """A record that was deleted after the lost answer is not sent again."""
    server = Server()
    server.script = [server.fail("reset", applied=False)]
    server.before_get[2] = lambda: setattr(server, "record", None)
    with pytest.raises(ConflictError, match="gone"):
        await update(server)


async def test_a_look_that_fails_leaves_the_doubt():
    """If the record cannot be read again, the error is that of the lost answer."""
    server = Server()
    server.script = [server.fail("reset", applied=True)]

    def fail():
        raise httpx.ReadError("down")

    server.before_get = dict.fromkeys(range(2, 20), fail)
    with pytest.raises(OutcomeUnknownError):
        await update(server)
    assert len(server.puts) == 1


async def test_the_look_goes_past_the_cache():
    """A cached answer is neither the base of an update nor what a lost answer is compared with."""
    server = Server()
    server.script = [server.fail("reset", applied=True)]
    async with server.client(cache=ResponseCache()) as client:
        await client.customers.get("8ea6")
        server.change(last_name="Doe")
        await client.customers.update("8ea6", CHANGES)
    assert server.gets == 3
    assert server.puts[0]["customer"]["personal_information"]["last_name"] == "Doe"


async def test_what_was_not_sent_is_sent_again_without_a_look():
    """A refused connection and a 429 did nothing: the PUT is repeated as every call is."""
    server = Server(lambda: httpx.ConnectError("refused"), lambda: httpx.Response(429))
    await update(server)
    assert (len(server.puts), server.gets) == (3, 1)
