"""Faults, in process and on a real socket."""

import re

import anyio
import httpx
import pytest

from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Faults, Sandbox
from carecloud_async.sandbox.server.faults import FaultOptions

pytestmark = pytest.mark.anyio


async def test_a_fault_applies_after_some_requests_and_to_some(sandbox, api):
    """`after=3, times=2`: three pass, two are refused with `Retry-After`, the rest pass."""
    fault = sandbox.faults.add("GET /customers", status=429, retry_after=1, times=2, after=3)
    answers = [await api.get("/customers", count=1) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429, 200, 200]
    assert (answers[3].headers["retry-after"], answers[3].content, fault.hits) == ("1", b"", 2)
    assert sandbox.statuses[429] == 2


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("GET /custmers", "GET /customers"),
        ("/customers", "GET /customers"),
        ("put customers/{id}", "PUT /customers/{customer_id}"),
        ("GET /customers/8ea6abece4cd0a4ded0a29f093/cards", "GET /customers/{customer_id}/cards"),
    ],
)
def test_a_pattern_of_no_operation_is_refused(pattern, nearest):
    """A fault whose pattern matches no operation is an error when it is added, and the nearest operation is named."""
    with pytest.raises(ValueError, match=re.escape(f"did you mean {nearest!r}?")):
        Faults().add(pattern, status=500)


@pytest.mark.parametrize("options", [{}, {"times": None, "after": 2}])
def test_a_fault_that_does_nothing_is_refused(options):
    """A fault without an effect would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match="give it status"):
        Faults().add("GET /customers", **options)


async def test_faults_that_no_request_got(sandbox, api):
    """`unused` lists the faults that no request got, and `assert_used` fails while there are any."""
    used = sandbox.faults.add("GET /customers", status=500)
    late = sandbox.faults.add("GET /customers", status=500, after=5)
    await api.get("/customers", count=1)
    assert (used.hits, sandbox.faults.unused) == (1, (late,))
    with pytest.raises(AssertionError, match=r"no request got: GET /customers \(1 requests matched\)"):
        sandbox.faults.assert_used()
    sandbox.faults.remove(late)
    sandbox.faults.assert_used()


def test_help_names_every_option():
    """`help(sandbox.faults.add)` says what each option of a fault does."""
    named = set(re.findall(r"^ *- `(\w+)`: ", Faults.add.__doc__, re.MULTILINE))
    assert named == FaultOptions.__annotations__.keys()


async def test_faults_mean_templates(sandbox, api):
    """A pattern means verb and path template, `*` anything."""
    sandbox.faults.add("* /customers/{customer_id}", status=500, times=None)
    assert (await api.get("/customers", count=1)).status_code == 200
    answer = await api.get("/customers/any")
    assert (answer.status_code, answer.json()["error"]["exception"]) == (500, "error_exception")
    sandbox.faults.clear()
    assert (await api.get("/customers/any")).status_code == 404


@pytest.mark.parametrize(
    ("fault", "content", "status"),
    [
        ({"garbage": True}, b"garbage", 200),
        ({"html": True, "status": 502}, b"<!DOCTYPE html>", 502),
        ({"body": "nonsense", "headers": {"X-Request-Id": "theirs"}}, b"nonsense", 200),
    ],
)
async def test_damaged_answers(sandbox, api, fault, content, status):
    """A fault makes the body garbage, HTML, JSON without `data`, or any given text."""
    sandbox.faults.add("GET /customers", **fault)
    answer = await api.get("/customers", count=3)
    assert content in answer.content
    assert answer.status_code == status
    assert answer.headers["x-request-id"] in ("theirs", "sandbox-2")


async def test_a_delay_meets_the_read_timeout(sandbox, api):
    """In process too, an answer that takes longer than the client reads is `ReadTimeout`."""
    sandbox.faults.add("GET /customers", delay=30)
    with pytest.raises(httpx.ReadTimeout):
        await api.call("GET", "/customers", timeout=httpx.Timeout(5, read=0.02))
    assert sandbox.in_flight == 0


@pytest.mark.parametrize("served", [False, True])
async def test_a_connection_is_cut_before_the_work_or_after_it(connect, new_customer, served):
    """After `cut=True` nothing was done, after `"after"` and `"half"` the customer exists; the connection is cut."""
    sandbox = Sandbox(10)

    async def check(api):
        token = await api.user_token()
        for number, cut in enumerate((True, "before", "after", "half")):
            sandbox.faults.add("POST /customers", cut=cut)
            with pytest.raises(httpx.RemoteProtocolError):
                await api.call("POST", "/customers", token=token, json=new_customer(f"{number}@example.com"))
        assert len(sandbox.customers) == 12
        assert (await api.get("/customers", token=token, count=1)).status_code == 200
        assert sandbox.in_flight == 0

    if served:
        async with sandbox.serving() as url, connect(sandbox, "enterprise", url) as api:
            await check(api)
        assert sandbox.connections.now == 0
    else:
        async with connect(sandbox, "enterprise") as api:
            await check(api)


async def test_a_write_that_happened_may_answer_503(sandbox, api, new_customer):
    """With `worked=True` the customer is there although the answer is an error."""
    sandbox.faults.add("POST /customers", status=503, worked=True)
    assert (await api.call("POST", "/customers", json=new_customer())).status_code == 503
    assert len(sandbox.customers) == 301


@pytest.mark.parametrize(
    "more", [{}, {"delay": 1.0}, {"cut": "after"}, {"cut": "half"}, {"status": 504, "worked": True}]
)
def test_late_work_is_not_done_twice(more):
    """`late` is refused for a request whose work is done at once."""
    with pytest.raises(ValueError, match="late needs a status or cut=True"):
        Sandbox(1).faults.add("POST /customers", late=1.0, **more)


async def test_latency_and_delays_use_the_given_sleep(connect):
    """Every answer waits for `latency`, and a fault for its `delay`."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    sandbox = Sandbox(5, latency=0.5, sleep=sleep)
    sandbox.faults.add("GET /customers", delay=9)
    async with connect(sandbox, "enterprise") as api:
        await api.get("/customers", token=await api.user_token())
    assert slept == [0.5, 0.5, 9]


async def test_a_request_can_be_held(sandbox, api):
    """An async `on_request` holds requests until the test lets them go."""
    arrived, released = anyio.Event(), anyio.Event()

    async def hold(request):
        if request.name == "GET /customers":
            arrived.set()
            await released.wait()

    sandbox.on_request = hold
    answers = []

    async def fetch():
        answers.append(await api.get("/customers", count=1))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetch)
        await arrived.wait()
        assert (answers, sandbox.in_flight) == ([], 1)
        released.set()
    assert answers[0].status_code == 200


async def test_customers_come_and_go_between_pages(sandbox, api):
    """`on_page` is called when a page is written, and may change the records before it is sent."""
    seen = []

    def change(request):
        seen.append(dict(request.query).get("offset"))
        sandbox.customers.delete(sandbox.customers.id_at(0))
        sandbox.customers.insert()
        sandbox.customers.insert()

    sandbox.on_page = change
    first = (await api.get("/customers", count=10)).json()["data"]
    second = (await api.get("/customers", count=10, offset=10)).json()["data"]
    assert seen == [None, "10"]
    assert [page["total_items"] for page in (first, second)] == [300, 301]
    assert first["customers"][0]["customer_id"] == FIRST_CUSTOMER_ID
    assert len({customer["customer_id"] for customer in first["customers"] + second["customers"]}) == 20
    assert len(sandbox.customers) == 302
