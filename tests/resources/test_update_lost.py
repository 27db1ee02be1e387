"""`update` after a lost answer: the record is read again before anything is sent once more."""

from collections import Counter

import httpx
import pytest
from every import every
from kit import connect, through

from carecloud_async import BadRequestError, ConflictError, OutcomeUnknownError, ResponseCache, RetryPolicy, Timeout
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

pytestmark = pytest.mark.anyio

GET, PUT = "GET /customers/{customer_id}", "PUT /customers/{customer_id}"
CHANGES = {"personal_information": {"first_name": "Joan"}}
STATUSES = (500, 502, 503, 504)
#: Ways to lose the answer of a PUT that was not stored, and of one that was.
IN_VAIN = [{"cut": "before"}, *[{"status": status} for status in STATUSES]]
STORED = [
    *[{"cut": "after"}, {"garbage": True}, {"html": True}],
    *[{"status": status, "worked": True} for status in STATUSES],
]


async def update(sandbox, changes=CHANGES, *, act=None, **options):
    """Update the customer; `act` has what is done before requests, by their verbs and numbers from 1."""
    seen = Counter()

    def before(request):
        seen[request.method] += 1
        do = (act or {}).get((request.method, seen[request.method]))
        return None if do is None else do()

    options = {"retry": RetryPolicy(base=0.001)} | options
    async with connect(sandbox, transport=through(sandbox, before), **options) as client:
        await client.customers.update(FIRST_CUSTOMER_ID, changes)


def change(sandbox, **person):
    """Change a part of the customer, as another writer does."""
    record = sandbox.customers.get(FIRST_CUSTOMER_ID)
    sandbox.customers.replace(
        FIRST_CUSTOMER_ID, record | {"personal_information": record["personal_information"] | person}
    )


def shown(sandbox, name):
    return sandbox.customers.get(FIRST_CUSTOMER_ID)["personal_information"][name]


def counts(sandbox):
    return sandbox.count(PUT), sandbox.count(GET)


@every("fault", IN_VAIN + STORED)
async def test_a_lost_answer_is_looked_into(fault):
    """Stored already, it is done after one PUT; not stored, the same PUT is sent again."""
    sandbox = Sandbox(customers=1)
    sandbox.faults.add(PUT, **fault)
    await update(sandbox)
    assert shown(sandbox, "first_name") == "Joan"
    assert counts(sandbox) == (1 if fault in STORED else 2, 2)
    sent = [request.json() for request in sandbox.requests if request.name == PUT]
    assert sent[0] == sent[-1]


@every("fault", IN_VAIN + STORED)
async def test_another_writers_change_is_never_reverted(fault):
    """If another writer changed the record before it is read again, nothing is sent, and the error says so."""
    sandbox = Sandbox(customers=1)
    sandbox.faults.add(PUT, **fault)
    with pytest.raises(ConflictError, match=r"the answer was lost.*last_name") as caught:
        await update(sandbox, act={("GET", 2): lambda: change(sandbox, last_name="Doe")})
    assert (sandbox.count(PUT), shown(sandbox, "last_name")) == (1, "Doe")
    assert caught.value.may_have_happened
    assert "personal_information.last_name" in caught.value.fields
    assert "Doe" not in str(caught.value)


async def test_a_refused_repeat_does_not_hide_that_the_first_was_stored(sandbox):
    """The first PUT is stored late, the repeat is refused: the update is done."""

    def store_and_refuse():
        change(sandbox, first_name="Joan")
        return httpx.Response(400, json={"error": {}})

    sandbox.faults.add(PUT, cut="before")
    await update(sandbox, act={("PUT", 2): store_and_refuse})
    assert shown(sandbox, "first_name") == "Joan"


async def test_a_refused_repeat_of_what_was_not_stored_says_that_it_may_be(sandbox):
    """The refusal is raised, with the doubt that the lost first PUT leaves; a refusal without one is certain."""
    sandbox.faults.add(PUT, cut="before")
    for lost in (True, False):
        sandbox.faults.add(PUT, status=400)
        with pytest.raises(BadRequestError) as caught:
            await update(sandbox)
        assert caught.value.may_have_happened is lost
    assert counts(sandbox) == (3, 4)  # the last one was neither looked into nor sent again


async def test_repeats_end_with_the_policy(sandbox):
    """As many PUTs as the policy has attempts, then the error that the outcome is unknown."""
    fault = sandbox.faults.add(PUT, status=503, times=None)
    with pytest.raises(OutcomeUnknownError):
        await update(sandbox, retry=RetryPolicy(base=0.001, attempts=3))
    assert sandbox.count(PUT) == 3
    sandbox.faults.remove(fault)
    sandbox.faults.add(PUT, status=503, worked=True)
    await update(sandbox, retry=RetryPolicy(attempts=1))
    assert sandbox.count(PUT) == 4


NO_BUDGET = RetryPolicy(base=0.001, budget_reserve=0, budget_ratio=0, budget_per_second=0)
ENDS = [
    ({"cut": "before", "times": 2}, {"retry": NO_BUDGET}),
    ({"delay": 60}, {"timeout": Timeout(total=1)}),
    ({"status": 503, "retry_after": 25}, {"timeout": Timeout(total=10)}),
]


@every("fault, options", ENDS)
async def test_repeats_end_with_the_budget_and_the_time(fault, options):
    """Without a repeat in the client's budget, or time for one, the record is looked at and nothing is sent again."""
    sandbox = Sandbox(customers=1)
    sandbox.faults.add(PUT, **fault)
    with pytest.raises(OutcomeUnknownError):
        await update(sandbox, **options)
    assert counts(sandbox) == (1, 2)


async def test_a_password_alone_is_sent_again(sandbox):
    """What is never read back cannot be seen to be stored, so it is sent again, unless another change shows it."""
    sandbox.faults.add(PUT, cut="after")
    await update(sandbox, {"password": "Secret-12345"})
    assert sandbox.count(PUT) == 2
    sandbox.faults.add(PUT, cut="after")
    await update(sandbox, CHANGES | {"password": "Secret-12345"})
    assert sandbox.count(PUT) == 3


async def test_a_record_that_is_gone_is_a_conflict(sandbox):
    """A record that was deleted after the lost answer is not sent again."""
    sandbox.faults.add(PUT, cut="before")
    with pytest.raises(ConflictError, match="gone"):
        await update(sandbox, act={("GET", 2): lambda: sandbox.customers.delete(FIRST_CUSTOMER_ID)})


async def test_a_look_that_fails_leaves_the_doubt(sandbox):
    """If the record cannot be read again, the error is that of the lost answer."""
    sandbox.faults.add(PUT, cut="after")
    sandbox.faults.add(GET, cut="before", after=1, times=None)
    with pytest.raises(OutcomeUnknownError):
        await update(sandbox)
    assert sandbox.count(PUT) == 1


async def test_the_look_goes_past_the_cache(sandbox):
    """A cached answer is neither the base of an update nor what a lost answer is compared with."""
    sandbox.faults.add(PUT, cut="after")

    def keep(request, answer):
        answer.headers["Cache-Control"] = "max-age=600"

    options = {"transport": through(sandbox, after=keep), "cache": ResponseCache(), "retry": RetryPolicy(base=0.001)}
    async with connect(sandbox, **options) as client:
        await client.customers.get(FIRST_CUSTOMER_ID)
        change(sandbox, last_name="Doe")
        await client.customers.update(FIRST_CUSTOMER_ID, CHANGES)
    assert counts(sandbox) == (1, 3)
    assert shown(sandbox, "last_name") == "Doe"


async def test_what_was_not_sent_is_sent_again_without_a_look(sandbox):
    """A refused connection and a 429 did nothing: the PUT is repeated as every call is."""

    def refuse():
        raise httpx.ConnectError("refused")

    sandbox.faults.add(PUT, status=429, retry_after=0)
    await update(sandbox, act={("PUT", 1): refuse})
    assert counts(sandbox) == (2, 1)  # the sandbox saw the 429 and the last one
