"""Being watched: records, a hook, the log, spans; nothing in them that is secret or personal."""

import contextlib
import gc
import logging
import pickle
import re
import weakref
from functools import partial

import anyio
import httpx
import httpx2
import kit
import pytest
from call_doors import create
from clocks import FakeClock
from kit import KnownUser, data, served
from telemetry import Telemetry
from wire_server import unreachable

from carecloud_async import (
    CareCloud,
    CareCloudError,
    EnterpriseCredentials,
    NotFoundError,
    RateLimit,
    RetryPolicy,
)
from carecloud_async.otel import OpenTelemetry
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
SECRET = "0123456789abcdef01234567"


@pytest.fixture
def records(caplog):
    """Return the records of the SDK's own log."""
    caplog.set_level(logging.INFO, "carecloud_async")
    return lambda: [record for record in caplog.records if record.name == "carecloud_async"]


connect = partial(kit.connect, host="x.example.com", retry=RetryPolicy(base=0.001))


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

    def lose(request):
        raise httpx.ReadError("gone")

    async with served(lose, auth=KnownUser(), retry=RetryPolicy(attempts=2, base=0.001)) as client:
        with client.record_calls() as calls, pytest.raises(CareCloudError):
            await client.request("GET", f"things/{SECRET}")
    (record,) = calls
    assert (record.status, record.attempt_statuses, record.headers, record.operation) == (None, (None, None), {}, "")
    assert SECRET not in repr(record)


async def test_each_call_writes_one_line(sandbox, records):
    """Method, template, page, status, milliseconds, attempts, correlation id; a repeated call is still one line."""
    async with connect(sandbox) as client:
        await client.login()
        sandbox.faults.add("GET /customers/{customer_id}", status=503, times=2)
        with pytest.raises(NotFoundError) as caught:
            await client.customers.get(SECRET)
        await client.customers.list(count=5, offset=10).page()
    login, failed, page = records()
    assert (failed.carecloud_method, failed.carecloud_path) == ("GET", "/customers/{customer_id}")
    assert (failed.carecloud_status, failed.carecloud_attempts, failed.carecloud_error) == (404, 3, "NotFoundError")
    assert failed.carecloud_correlation_id == caught.value.correlation_id
    assert re.fullmatch("[0-9a-f]{16}", failed.carecloud_correlation_id)
    assert failed.carecloud_milliseconds > 0
    assert failed.levelno == logging.WARNING
    assert (page.levelno, page.carecloud_status, page.carecloud_error) == (logging.INFO, 200, None)
    assert "GET /customers (offset 10, count 5) -> 200 in" in page.getMessage()
    assert (page.carecloud_offset, page.carecloud_count, page.carecloud_operation) == (10, 5, "customers.list")
    assert login.carecloud_path == "/users/actions/login"
    assert SECRET not in "".join(record.getMessage() for record in records())


async def test_the_log_has_the_milliseconds_of_the_call_and_of_its_wait_at_the_limiter(records):
    """With 1.5 seconds for the answer and 1 second at the limiter, the log says 2500.0 ms, and 1000 at the limiter."""
    clock = FakeClock()

    def handle(request):
        clock.advance(1.5)
        return data({"customers": [], "total_items": 0})

    async with served(handle, clock=clock, rate_limit=RateLimit(requests_per_second=1)) as client:
        await client.login()
        await client.ping()
    ping = records()[-1]
    assert "-> 200 in 2500.0 ms, attempts 1" in ping.getMessage()
    assert (ping.carecloud_milliseconds, ping.carecloud_limiter_milliseconds) == (2500, 1000)


LOGIN = "POST /users/actions/login"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"pattern": "GET /customers", "cut": True}, "no answer (ConnectionFailedError)"),
        ({"pattern": "GET /customers", "status": 503}, "503 (ServerError)"),
        ({"pattern": "GET /customers", "garbage": True}, "200 (ResponseError)"),
        ({"pattern": LOGIN, "status": 403}, "not sent (AuthenticationError)"),
        ({"pattern": LOGIN, "cut": True}, "not sent (ConnectionFailedError)"),
        (None, "not sent (ConfigurationError)"),
    ],
)
async def test_the_log_says_no_answer_only_where_there_was_none(sandbox, records, fault, outcome):
    """A call that was sent and not answered is "no answer" in the log; one whose login failed is "not sent"."""
    options = {"retry": RetryPolicy(attempts=1)}
    if fault is None:
        options["auth"] = EnterpriseCredentials(external_application_id="a", login="b", password=lambda: "")
    else:
        sandbox.faults.add(**fault, times=None)
    async with connect(sandbox, **options) as client:
        with pytest.raises(CareCloudError):
            await client.customers.list().total()
    assert f"GET /customers (offset 0, count 1) -> {outcome} in" in records()[-1].getMessage()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_call_that_is_cancelled_while_it_connects_is_logged_as_cancelled(records):
    """A cancelled call is no failure and no warning; on trio it ends with a group of cancellations."""
    with unreachable() as port:
        async with CareCloud(f"http://127.0.0.1:{port}", auth=KnownUser()) as client:
            with client.record_calls() as calls, anyio.move_on_after(0.2):
                await client.ping()
    assert {call.error for call in calls} <= {"CancelledError", "Cancelled"}
    assert [record.levelno for record in records()] == [logging.INFO]
    assert "-> cancelled (Cancel" in records()[0].getMessage()


def test_a_library_writes_nothing_where_logging_is_not_set_up():
    """The logger has a NullHandler: without handlers of its own, an application sees nothing of ours on stderr."""
    handlers = logging.getLogger("carecloud_async").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("things/abcdef", "/things/{id2}"),
        (f"cards/{SECRET}/events/abcdef", "/cards/{id2}/events/{id4}"),
        ("customers/x1/abcdef", "/customers/{id2}/{id3}"),
        ("customers/{customer_id}/abcdef/events", "/customers/{customer_id}/{id3}/events"),
    ],
)
async def test_a_segment_that_looks_like_a_word_may_be_an_id(sandbox, records, path, shown):
    """Of an ad-hoc path the family, the API's own words and the user's placeholders are shown, and nothing else."""
    async with connect(sandbox) as client:
        with pytest.raises(NotFoundError) as caught:
            await client.request("GET", path, path_params={"customer_id": "x1"} if "{" in path else {})
    assert (records()[-1].carecloud_path, caught.value.path) == (shown, shown)
    assert "abcdef" not in str(caught.value)


async def test_a_hook_that_raises_costs_nothing_but_a_line_in_the_log(sandbox, caplog):
    """It gets each record; the answer arrives, an error stays the error it was, and the hook's own is logged apart."""
    seen = []

    def hook(record):
        seen.append((record.method, record.path, record.status))
        raise KeyError("mine")

    async with connect(sandbox, on_call=hook) as client:
        await create(client)
        with pytest.raises(NotFoundError):
            await client.customers.get(SECRET)
    assert seen == [
        ("POST", "/users/actions/login", 200),
        ("POST", "/customers", 201),
        ("GET", "/customers/{customer_id}", 404),
    ]
    assert {record.name for record in caplog.records if record.exc_info} == {"carecloud_async.on_call"}


async def test_telemetry_that_raises_changes_no_call(sandbox, caplog):
    """The answer arrives; what a provider of spans raised is logged apart."""

    class Broken:
        def get_tracer(self, *_, **__):
            return self

        def start_span(self, *_, **__):
            raise KeyError("mine")

    async with connect(sandbox, telemetry=OpenTelemetry(tracer_provider=Broken())) as client:
        await client.ping()
    assert {record.name for record in caplog.records if record.exc_info} == {"carecloud_async.observers"}


@pytest.mark.parametrize(
    ("kind", "backend", "traces_all"),
    [
        ("default", "asyncio", False),
        ("httpx", "asyncio", False),
        ("httpx2", "asyncio", False),
        ("httpx", "asyncio", True),
        ("httpx2", "asyncio", True),
        ("default", "trio", True),
    ],
)
def test_spans_of_opentelemetry_show_templates(kind, backend, traces_all):
    """`instrument_client(client.http)`, or `instrument()` for all of httpx: no token and no id is in any span."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.httpx")
    if not hasattr(instrumentation, "HTTPX2ClientInstrumentor"):
        pytest.skip("this release of the instrumentation knows httpx alone")
    telemetry = Telemetry()
    tracers = {
        httpx: instrumentation.HTTPXClientInstrumentor(),
        httpx2: instrumentation.HTTPX2ClientInstrumentor(),
    }
    library = {"httpx": httpx, "httpx2": httpx2}.get(kind)
    sandbox = Sandbox(5)
    customer_id = sandbox.customers.id_at(2)

    async def call(url):
        # The libraries' own transports are traced by `instrument()`, and a whole client by `instrument_client`.
        http = None if library is None or traces_all else library.AsyncClient()
        transport = library.AsyncHTTPTransport() if library and traces_all else None
        options = {"auth": sandbox.credentials(), "http_client": http, "transport": transport}
        async with http or contextlib.nullcontext(), CareCloud(url, **options) as client:
            if not traces_all:
                tracers[library or httpx].instrument_client(client.http, tracer_provider=telemetry.tracer_provider)
            await client.customers.get(customer_id)

    for tracer in tracers.values() if traces_all else ():
        tracer.instrument(tracer_provider=telemetry.tracer_provider)
    try:
        with sandbox.running() as url:
            anyio.run(call, url, backend=backend)
    finally:
        for tracer in tracers.values() if traces_all else ():
            tracer.uninstrument()
    text = "".join(span.to_json() for span in telemetry.spans)
    assert len(telemetry.spans) >= 2
    assert "/customers/%7Bcustomer_id%7D" in text
    assert not any(secret in text for secret in ("Bearer", "fabulous_user", customer_id))


async def test_httpx_logs_no_ids(sandbox, caplog):
    """Httpx writes each URL at INFO; ours print as templates there."""
    for name in (None, "httpx", "httpx2"):
        caplog.set_level(logging.DEBUG, logger=name)
    customer_id = sandbox.customers.id_at(2)
    async with sandbox.serving() as url, httpx.AsyncClient() as old, httpx2.AsyncClient() as new:
        for options in ({}, {"http_client": old}, {"http_client": new}):
            async with CareCloud(url, auth=sandbox.credentials(), **options) as client:
                await client.customers.get(customer_id)
    told = [
        record for record in caplog.records if record.name in {"httpx", "httpx2"} and record.levelno >= logging.INFO
    ]
    assert len(told) >= 4
    assert not any(customer_id in record.getMessage() for record in told)


async def test_an_observed_call_and_its_answer_are_freed_at_once(sandbox):
    """Nothing of a call refers back to it: no answer stays in memory until the next full garbage collection."""
    async with connect(sandbox, on_call=lambda record: None) as client:
        await client.ping()
        gc.disable()
        try:
            answer = weakref.ref(await client.customers.get(sandbox.customers.id_at(1)))
            assert answer() is None
        finally:
            gc.enable()
