"""Being watched: one record a call, a hook, spans; nothing in them that is secret or personal."""

import contextlib
import gc
import logging
import re
from functools import partial

import anyio
import httpx
import httpx2
import kit
import pytest
from call_doors import create
from clocks import FakeClock
from kit import login_answer

from carecloud_async import CareCloud, NotFoundError, RateLimit, ResponseError, RetryPolicy
from carecloud_async._calls.call.call import Call
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
SECRET = "0123456789abcdef01234567"


@pytest.fixture
def records(caplog):
    caplog.set_level(logging.INFO, "carecloud_async")
    return lambda: [record for record in caplog.records if record.name == "carecloud_async"]


connect = partial(kit.connect, host="x.example.com", retry=RetryPolicy(base=0.001))


async def test_each_call_writes_one_record(sandbox, records):
    """Method, template, status, milliseconds, attempts, correlation id; a repeated call is still one record."""
    async with connect(sandbox) as client:
        await client.login()
        sandbox.faults.add("GET /customers/{customer_id}", status=503, times=2)
        with pytest.raises(NotFoundError) as caught:
            await client.customers.get(SECRET)
        await client.ping()
    login, failed, ping = records()
    assert (failed.carecloud_method, failed.carecloud_path) == ("GET", "/customers/{customer_id}")
    assert (failed.carecloud_status, failed.carecloud_attempts, failed.carecloud_error) == (404, 3, "NotFoundError")
    assert failed.carecloud_correlation_id == caught.value.correlation_id
    assert re.fullmatch("[0-9a-f]{16}", failed.carecloud_correlation_id)
    assert failed.carecloud_milliseconds > 0
    assert failed.levelno == logging.WARNING
    assert (ping.levelno, ping.carecloud_status, ping.carecloud_error) == (logging.INFO, 200, None)
    assert login.carecloud_path == "/users/actions/login"
    assert SECRET not in "".join(record.getMessage() for record in records())


async def test_the_log_has_the_milliseconds_of_the_call_and_of_its_wait_at_the_limiter(records):
    """With 1.5 seconds for the answer and 1 second at the limiter, the log says 2500.0 ms, and 1000 at the limiter."""
    clock = FakeClock()

    def handle(request):
        if request.method == "POST":
            return login_answer()
        clock.advance(1.5)
        return httpx.Response(200, json={"data": {"customers": [], "total_items": 0}})

    options = {"clock": clock, "rate_limit": RateLimit(requests_per_second=1)}
    auth, transport = Sandbox(1).credentials(), httpx.MockTransport(handle)
    async with CareCloud("x.example.com", auth=auth, transport=transport, **options) as client:
        await client.login()
        await client.ping()
    ping = records()[-1]
    assert "-> 200 in 2500.0 ms, attempts 1" in ping.getMessage()
    assert (ping.carecloud_milliseconds, ping.carecloud_limiter_milliseconds) == (2500, 1000)


async def test_an_answer_that_cannot_be_decoded_is_a_failed_call(sandbox, records):
    """The record tells what the caller got, not that 200 came."""
    async with connect(sandbox) as client:
        sandbox.faults.add("GET /customers", times=None, garbage=True)
        with pytest.raises(ResponseError) as caught:
            await client.customers.list().page()
    last = records()[-1]
    assert (last.carecloud_status, last.carecloud_error) == (200, "ResponseError")
    assert last.carecloud_correlation_id == caught.value.correlation_id


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
    paths = [
        ("POST", "/users/actions/login", 200),
        ("POST", "/customers", 201),
        ("GET", "/customers/{customer_id}", 404),
    ]
    assert seen == paths
    assert {record.name for record in caplog.records if record.exc_info} == {"carecloud_async.on_call"}


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
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
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
                tracers[library or httpx].instrument_client(client.http, tracer_provider=provider)
            await client.customers.get(customer_id)

    for tracer in tracers.values() if traces_all else ():
        tracer.instrument(tracer_provider=provider)
    try:
        with sandbox.running() as url:
            anyio.run(call, url, backend=backend)
    finally:
        for tracer in tracers.values() if traces_all else ():
            tracer.uninstrument()
    spans = exporter.get_finished_spans()
    text = "".join(span.to_json() for span in spans)
    assert len(spans) >= 2
    assert "/customers/%7Bcustomer_id%7D" in text
    assert not any(secret in text for secret in ("Bearer", "fabulous_user", customer_id))


async def test_httpx_logs_no_ids(sandbox, caplog):
    """Httpx writes each URL at INFO; ours print as templates there."""
    for name in (None, "httpx", "httpx2"):
        caplog.set_level(logging.DEBUG, logger=name)
    customer_id = sandbox.customers.id_at(2)
    async with sandbox.serving() as url:
        for http in (None, httpx.AsyncClient(), httpx2.AsyncClient()):
            options = {} if http is None else {"http_client": http}
            async with CareCloud(url, auth=sandbox.credentials(), **options) as client:
                await client.customers.get(customer_id)
            if http is not None:
                await http.aclose()
    told = [
        record for record in caplog.records if record.name in {"httpx", "httpx2"} and record.levelno >= logging.INFO
    ]
    assert len(told) >= 4
    assert not any(customer_id in record.getMessage() for record in told)


def executions() -> list[Call]:
    """The calls that are in memory."""
    return [item for item in gc.get_objects() if isinstance(item, Call)]


async def test_an_observed_call_and_its_answer_are_freed_at_once(sandbox):
    """Nothing of a call refers back to it: no answer stays in memory until the next full garbage collection."""
    async with connect(sandbox, on_call=lambda record: None) as client:
        await client.ping()
        gc.collect()
        # The errors of other tests may hold calls of their own.
        earlier = executions()
        gc.disable()
        try:
            for _ in range(3):
                await client.customers.list(count=5).page()
            alive = executions()
        finally:
            gc.enable()
    assert not [call for call in alive if call not in earlier]
