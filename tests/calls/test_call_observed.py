"""Observers, `record_calls` and the log: what they get of a call, and what a call costs without them."""

import contextlib
import logging
import pickle
import socket
import traceback
from functools import partial

import anyio
import httpx
import kit
import pytest
from clocks import FakeClock
from kit import login_answer

from carecloud_async import (
    CareCloud,
    CareCloudError,
    ConfigurationError,
    EnterpriseCredentials,
    NotFoundError,
    RateLimit,
    RetryPolicy,
)
from carecloud_async._calls.call.events import CallObserver
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
SECRET = "0123456789abcdef01234567"


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, seed=1)


connect = partial(kit.connect, host="x.example.com", retry=RetryPolicy(base=0.001))


class Seen(CallObserver):
    """Writes down every event."""

    def __init__(self):
        self.events = []

    def call_started(self, call):
        self.events.append(("call", call.operation.title, call.login))

    def call_ended(self, call, record):
        self.events.append(("end", call.operation.title, record.status))

    def attempt_started(self, call, number, headers):
        headers["traceparent"] = "00-1"
        self.events.append(("attempt", call.operation.title, number))

    def attempt_ended(self, call, number, status, error):
        self.events.append(("attempt ended", status, type(error).__name__))

    def limiter_waited(self, call, seconds):
        self.events.append(("waited", call.operation.title, seconds > 0))

    def retry_scheduled(self, call, seconds, kind):
        self.events.append(("retry", kind.name))

    def throttled(self, call, retry_after, rate):
        self.events.append(("throttled", retry_after, rate is not None))


class Observing:
    """Telemetry that gives every client the same observer."""

    def __init__(self, observer):
        self._observer = observer

    def observer(self, project, rate):
        return self._observer


async def test_events_come_in_order_with_the_login_inside_the_attempt(sandbox):
    """A cold call: its attempt begins, the login begins and ends, a 503 is repeated, the call ends."""
    seen = Seen()
    async with connect(sandbox, telemetry=Observing(seen)) as client:
        sandbox.faults.add("GET /customers", status=503)
        await client.ping()
    login = "POST /users/actions/login"
    assert seen.events == [
        ("call", "GET /customers", False),
        ("attempt", "GET /customers", 1),
        ("call", login, True),
        ("attempt", login, 1),
        ("attempt ended", 200, "NoneType"),
        ("end", login, 200),
        ("attempt ended", 503, "ServerError"),
        ("retry", "SERVER_ERROR"),
        ("attempt", "GET /customers", 2),
        ("attempt ended", 200, "NoneType"),
        ("end", "GET /customers", 200),
    ]


async def test_a_429_and_a_wait_are_events(sandbox):
    """The pause that a server asks for, the pace after it, and the wait that follows."""
    seen = Seen()
    async with connect(sandbox, telemetry=Observing(seen)) as client:
        await client.ping()
        sandbox.faults.add("GET /customers", status=429, retry_after=0.05)
        await client.ping()
    assert ("throttled", 0.05, True) in seen.events
    assert ("retry", "THROTTLED") in seen.events


async def test_an_observer_that_raises_changes_no_call(sandbox, caplog):
    """The answer arrives; what the observer raised is logged apart."""

    class Broken(CallObserver):
        def attempt_started(self, call, number, headers):
            raise KeyError("mine")

        call_started = attempt_ended = call_ended = attempt_started

    async with connect(sandbox, telemetry=Observing(Broken())) as client:
        await client.ping()
    assert {record.name for record in caplog.records if record.exc_info} == {"carecloud_async.observers"}


async def test_records_are_collected_in_the_block_and_its_tasks(sandbox):
    """Calls inside, in tasks started inside, and of views count; calls before, after and of other clients do not."""
    async with connect(sandbox) as client, connect(sandbox) as other:
        await client.ping()
        await other.ping()
        with client.record_calls() as calls:
            await client.customers.get(sandbox.customers.id_at(1))
            await other.ping()
            async with anyio.create_task_group() as group:
                group.start_soon(client.with_options(language="en").ping)
            with client.record_calls() as inner:
                await client.ping()
        await client.ping()
    assert [record.operation for record in calls] == ["customers.get", "customers.list", "customers.list"]
    assert inner == calls[2:]


async def test_a_task_that_outlives_the_block_adds_nothing(sandbox):
    """The list is done when the block is."""
    async with connect(sandbox) as client, anyio.create_task_group() as group:
        await client.ping()
        arrived, answered = anyio.Event(), anyio.Event()

        async def hold(_request):
            arrived.set()
            await answered.wait()

        sandbox.on_request = hold
        with client.record_calls() as calls:
            group.start_soon(client.ping)
            await arrived.wait()
        answered.set()
    assert calls == []


async def test_a_record_tells_what_a_service_wants_to_know(sandbox):
    """Operation, headers without secrets, request id, page, statuses of all attempts, time at the limiter."""
    limit = RateLimit(requests_per_second=10)
    async with connect(sandbox, rate_limit=limit, clock=FakeClock()) as client:
        await client.ping()
        headers = {"X-Request-Id": "req-7", "Set-Cookie": "s=1", "X-Odd": "yes"}
        sandbox.faults.add("GET /customers", status=503)
        sandbox.faults.add("GET /customers", status=404, headers=headers)
        with client.record_calls() as calls, pytest.raises(NotFoundError) as caught:
            await client.customers.list(count=5, offset=10).page()
    (record,) = calls
    assert (record.operation, record.method, record.path) == ("customers.list", "GET", "/customers")
    assert (record.status, record.attempts, record.attempt_statuses) == (404, 2, (503, 404))
    assert record.headers["x-odd"] == record.headers["X-Odd"] == "yes"
    assert "set-cookie" not in record.headers
    assert record.headers.get("Set-Cookie") is None
    assert set(dict(record.headers)) >= {"x-odd", "x-request-id"}
    assert "s=1" not in repr(record.headers)
    assert pickle.loads(pickle.dumps(record)) == record
    assert record.request_id == "req-7"
    assert (record.offset, record.count, record.error) == (10, 5, "NotFoundError")
    assert 0 < record.limiter_seconds < record.seconds
    assert record.correlation_id == caught.value.correlation_id


async def test_a_call_without_an_answer_has_an_empty_status():
    """Attempts whose answers were lost count as None; a method that the SDK does not have has no name."""

    def handle(request):
        if request.url.path.endswith("/login"):
            return login_answer()
        raise httpx.ReadError("gone")

    client = CareCloud(
        "x.example.com",
        auth=Sandbox(1).credentials(),
        transport=httpx.MockTransport(handle),
        retry=RetryPolicy(attempts=2, base=0.001),
    )
    async with client:
        await client.login()
        with client.record_calls() as calls, pytest.raises(CareCloudError):
            await client.request("GET", f"things/{SECRET}")
    (record,) = calls
    assert (record.status, record.attempt_statuses, record.headers, record.operation) == (None, (None, None), {}, "")
    assert SECRET not in repr(record)


async def test_the_log_names_the_page(sandbox, caplog):
    """`offset` and `count` of a page call stand in the line and in its fields."""
    caplog.set_level(logging.INFO, "carecloud_async")
    async with connect(sandbox) as client:
        await client.customers.list(count=5, offset=10).page()
    last = [record for record in caplog.records if record.name == "carecloud_async"][-1]
    assert "GET /customers (offset 10, count 5) -> 200 in" in last.getMessage()
    assert (last.carecloud_offset, last.carecloud_count, last.carecloud_operation) == (10, 5, "customers.list")


async def test_a_mistake_on_this_side_is_not_reported_as_no_answer(caplog):
    """A password callable that returns nothing: the line says that nothing was sent."""
    auth = EnterpriseCredentials(external_application_id="a", login="b", password=lambda: "")
    client = CareCloud("x.example.com", auth=auth, transport=httpx.MockTransport(lambda request: None))
    async with client:
        with pytest.raises(ConfigurationError):
            await client.ping()
    told = [record.getMessage() for record in caplog.records if record.name == "carecloud_async"]
    assert any("not sent (ConfigurationError)" in line for line in told)
    assert not any("no answer" in line for line in told)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"pattern": "GET /customers", "cut": True}, "no answer (ConnectionFailedError)"),
        ({"pattern": "GET /customers", "status": 503}, "503 (ServerError)"),
        ({"pattern": "POST /users/actions/login", "status": 403}, "not sent (AuthenticationError)"),
        ({"pattern": "POST /users/actions/login", "cut": True}, "not sent (ConnectionFailedError)"),
    ],
)
async def test_the_log_says_no_answer_only_where_there_was_none(caplog, sandbox, fault, outcome):
    """A call that was sent and not answered is "no answer" in the log; one whose login failed is "not sent"."""
    sandbox.faults.add(**fault, times=None)
    async with connect(sandbox, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(CareCloudError):
            await client.customers.list().total()
    last = [record.getMessage() for record in caplog.records if record.name == "carecloud_async"][-1]
    assert f"GET /customers (offset 0, count 1) -> {outcome} in" in last


async def test_a_cancelled_call_is_logged_as_cancelled(caplog, sandbox):
    """The line of a cancelled call says so, and not that no answer came."""
    caplog.set_level(logging.INFO, "carecloud_async")
    async with connect(sandbox) as client, anyio.create_task_group() as group:
        await client.ping()

        async def cancel(_):
            group.cancel_scope.cancel()
            await anyio.sleep_forever()

        sandbox.on_request = cancel
        await client.ping()
    lines = [record.getMessage() for record in caplog.records if record.name == "carecloud_async"]
    assert "-> cancelled (Cancel" in lines[-1]


def test_a_library_writes_nothing_where_logging_is_not_set_up():
    """The logger has a NullHandler: without handlers of its own, an application sees nothing of ours on stderr."""
    handlers = logging.getLogger("carecloud_async").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


@pytest.mark.parametrize("own", [False, True])
async def test_at_most_four_frames_stand_between_the_user_and_httpx(own):
    """The stack of a call, from the user's line to the HTTP library's client, or to our transport in its place."""
    stacks = []

    def handle(request):
        stacks.append([frame.filename for frame in traceback.extract_stack()])
        if request.url.path.endswith("/login"):
            return login_answer()
        return httpx.Response(200, json={"data": {"customer_id": "1"}})

    mock = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=mock) as http:
        given = {"http_client": http} if own else {"transport": mock}
        async with CareCloud("x.example.com", auth=Sandbox(1).credentials(), **given) as client:
            await client.login()
            stacks.clear()
            await client.customers.get("1")
    (stack,) = stacks
    door = "httpx/_client" if own else "carecloud_async/_calls/http/transport"
    start = len(stack) - 1 - stack[::-1].index(next(name for name in reversed(stack) if door in name))
    above = stack[:start]
    while door in above[-1]:
        above.pop()
    ours = 0
    while "/carecloud_async/" in above[-1 - ours]:
        ours += 1
    assert above[-1 - ours] == __file__
    assert 1 <= ours <= 4


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Authorization": "Bearer x"}, "set by the SDK"),
        ({"X": "a\r\nb: c"}, "line breaks"),
        ({"X Y": "1"}, "token"),
        ({"X": 1}, "text"),
        ([("X", "1")], "expected a dict"),
    ],
)
async def test_headers_that_cannot_be_added(sandbox, headers, words):
    """Refused before anything is sent, by name."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match=words):
            await client.request("GET", "customers", headers=headers)
    assert sandbox.count() == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_call_that_is_cancelled_while_it_connects_is_logged_as_cancelled(caplog):
    """On trio such a call ends with a group of cancellations, which is no warning either."""
    caplog.set_level(logging.INFO, "carecloud_async")
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # the queue of connections is full: the next one hangs
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with CareCloud(url, auth=Sandbox(1).credentials()) as client:
            with client.record_calls() as calls, anyio.move_on_after(0.2):
                await client.ping()
    assert {call.error for call in calls} <= {"CancelledError", "Cancelled"}
    assert {record.levelno for record in caplog.records if record.name == "carecloud_async"} == {logging.INFO}
