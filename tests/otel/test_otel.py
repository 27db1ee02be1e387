"""Spans and metrics of a client, read from OpenTelemetry's in-memory exporters."""

import logging
import time

import anyio
import httpx
import kit
import pytest
from clocks import FakeClock
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from telemetry import Telemetry

from carecloud_async import (
    AuthenticationError,
    CareCloud,
    CustomerSession,
    EnterpriseCredentials,
    NotFoundError,
    OutcomeUnknownError,
    RateLimit,
    ResponseCache,
    ResponseError,
    RetryPolicy,
    ServerError,
    SessionExpiredError,
    Timeout,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
SERVER = {"server.address": kit.HOST, "server.port": 443}
LOGIN = "POST /users/actions/login"
SECRETS = ["planted-secret", "planted@example.com", "c0ffee00c0ffee00c0ffee00", "planted-detail", "Plantedname"]


@pytest.fixture
def telemetry():
    return Telemetry()


@pytest.fixture
def sandbox():
    return Sandbox(customers=20, seed=1)


def connect(sandbox, telemetry, /, **options):
    return kit.connect(sandbox, **{"retry": RetryPolicy(base=0.001), "telemetry": telemetry.make(), **options})


async def test_a_call_is_a_client_span_with_the_stable_names(sandbox, telemetry):
    """Named by verb and template; method, template, server and status as the semantic conventions call them."""
    async with connect(sandbox, telemetry) as client:
        await client.login()
        await client.customers.get(sandbox.customers.id_at(2))
    (span,) = telemetry.named("GET /customers/{customer_id}")
    attributes = dict(span.attributes)
    assert len(attributes.pop("carecloud.correlation_id")) == 16
    assert attributes == {
        "http.request.method": "GET",
        "url.template": "/customers/{customer_id}",
        "http.response.status_code": 200,
        "carecloud.operation": "customers.get",
        **SERVER,
    }
    assert (span.kind, span.status.status_code, span.parent) == (SpanKind.CLIENT, StatusCode.UNSET, None)
    (attempt,) = telemetry.below(span)
    assert (attempt.name, attempt.kind) == ("attempt", SpanKind.INTERNAL)
    assert dict(attempt.attributes) == {"http.response.status_code": 200}


async def test_a_404_is_an_error_on_the_span_and_in_the_histogram(sandbox, telemetry):
    """A 404 sets the status, the error's class and ERROR on the span; no event holds the error's text."""
    async with connect(sandbox, telemetry) as client:
        with pytest.raises(NotFoundError):
            await client.customers.get("c0ffee00c0ffee00c0ffee00")
    (span,) = telemetry.named("GET /customers/{customer_id}")
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (404, "NotFoundError")
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())
    failed = [point for point in telemetry.points("http.client.request.duration") if "error.type" in point.attributes]
    assert [dict(point.attributes) for point in failed] == [
        {
            "http.request.method": "GET",
            "url.template": "/customers/{customer_id}",
            "http.response.status_code": 404,
            "error.type": "NotFoundError",
            **SERVER,
        }
    ]


async def test_two_503s_then_success_are_one_call_of_three_attempts(sandbox, telemetry):
    """One span with resend_count 2 over three attempts; one duration with status 200; two retries counted."""
    async with connect(sandbox, telemetry) as client:
        await client.login()
        sandbox.faults.add("GET /customers", status=503, times=2)
        await client.customers.list().page()
    (span,) = telemetry.named("GET /customers")
    assert (span.attributes["http.request.resend_count"], span.attributes["http.response.status_code"]) == (2, 200)
    assert span.status.status_code is StatusCode.UNSET
    attempts = telemetry.below(span)
    assert [attempt.attributes["http.response.status_code"] for attempt in attempts] == [503, 503, 200]
    assert [attempt.attributes.get("http.request.resend_count") for attempt in attempts] == [None, 1, 2]
    assert [attempt.status.status_code for attempt in attempts] == [StatusCode.ERROR] * 2 + [StatusCode.UNSET]
    assert [event.name for event in span.events] == ["retry", "retry"]
    durations = telemetry.points("http.client.request.duration")
    assert [p.count for p in durations if p.attributes["url.template"] == "/customers"] == [1]
    (retries,) = telemetry.points("carecloud.client.retries")
    assert (retries.value, retries.attributes["carecloud.retry.reason"]) == (2, "server_error")


async def test_a_renewal_after_401_is_a_login_below_the_attempt_that_needed_it(sandbox, telemetry):
    """The refused attempt has the login that it led below it; the replay is an attempt of its own, with its count."""
    async with connect(sandbox, telemetry) as client:
        await client.login()
        telemetry.exporter.clear()
        sandbox.faults.add("GET /customers", status=401)
        await client.ping()
    (call,) = telemetry.named("GET /customers")
    refused, replay = telemetry.below(call)
    assert dict(refused.attributes) == {"http.response.status_code": 401, "error.type": "AuthenticationError"}
    assert dict(replay.attributes) == {"http.response.status_code": 200, "http.request.resend_count": 1}
    (login,) = telemetry.below(refused)
    assert (login.name, login.kind, telemetry.below(replay)) == (LOGIN, SpanKind.CLIENT, [])
    assert (call.attributes["http.response.status_code"], call.attributes["http.request.resend_count"]) == (200, 1)
    assert call.status.status_code is StatusCode.UNSET
    assert telemetry.count("carecloud.client.logins") == 2


@pytest.mark.parametrize("propagator", [None, propagate.get_global_textmap()], ids=["none", "global"])
async def test_the_trace_leaves_the_process_only_if_asked(sandbox, telemetry, propagator):
    """No traceparent by default; with a propagator each sending names its own span, the replay after a 401 too."""
    sent = []
    sandbox.on_request = lambda request: sent.append(request.headers.get("traceparent"))
    async with connect(sandbox, telemetry, telemetry=telemetry.make(propagator=propagator)) as client:
        await client.login()
        telemetry.exporter.clear()
        sent.clear()
        sandbox.faults.add("GET /customers", status=401)
        await client.ping()
    refused, replay = telemetry.below(*telemetry.named("GET /customers"))
    named = [None if header is None else header.split("-")[2] for header in (sent[0], sent[-1])]
    spans = [f"{span.context.span_id:016x}" for span in (refused, replay)]
    assert named == ([None, None] if propagator is None else spans)


async def test_refused_logins_are_counted(sandbox, telemetry):
    """A wrong password is one login and one refusal, and no span below it stays open."""
    wrong = EnterpriseCredentials(external_application_id="a" * 24, login="planted@example.com", password="wrong")
    transport = httpx.MockTransport(lambda request: httpx.Response(401, json={"error": {"detail": "planted-detail"}}))
    async with CareCloud("x.example.com", auth=wrong, transport=transport, telemetry=telemetry.make()) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()
    assert telemetry.count("carecloud.client.logins") == telemetry.count("carecloud.client.login.refusals") == 1
    (call,) = telemetry.named("GET /customers")
    (attempt,) = telemetry.below(call)
    assert [span.status.status_code for span in (call, attempt)] == [StatusCode.ERROR] * 2
    assert [span.name for span in telemetry.below(attempt)] == [LOGIN]


async def test_a_firewall_refuses_no_credentials(telemetry):
    """A login that a firewall answers with 403 is no refusal that an alert would report."""
    page = httpx.MockTransport(lambda request: httpx.Response(403, text="<title>Forbidden</title>"))
    async with kit.served(None, transport=page, retry=RetryPolicy(attempts=1), telemetry=telemetry.make()) as client:
        with pytest.raises(ResponseError):
            await client.ping()
    assert not telemetry.points("carecloud.client.login.refusals")


async def test_throttling_and_the_pace_that_follows_are_measured(sandbox, telemetry):
    """A 429 is counted, and from then on the gauge shows the pace; before it there is none."""
    async with connect(sandbox, telemetry) as client:
        await client.login()
        assert telemetry.points("carecloud.client.pace") == []
        sandbox.faults.add("GET /customers", status=429, retry_after=0.01)
        await client.ping()
        assert telemetry.count("carecloud.client.throttled") == 1
        (pace,) = telemetry.points("carecloud.client.pace")
    assert pace.value > 0
    assert dict(pace.attributes) == SERVER


async def test_waits_at_the_rate_limiter_are_measured(sandbox, telemetry):
    """Calls that had to wait are in the histogram of waits, and each span has the wait of its call."""
    clock = FakeClock(wall=time.time())  # it stands still but for sleeps, so that a slow machine must wait as well
    async with connect(sandbox, telemetry, rate_limit=RateLimit(requests_per_second=50), clock=clock) as client:
        await client.login()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(client.ping)
    (waits,) = telemetry.points("carecloud.client.limiter.wait")
    told = [span.attributes.get("carecloud.limiter.wait", 0) for span in telemetry.named("GET /customers")]
    assert waits.count == sum(wait > 0 for wait in told) >= 2
    assert waits.sum == pytest.approx(sum(told))


async def test_the_histogram_has_the_bounds_of_the_conventions(sandbox, telemetry):
    """Seconds, in the fourteen buckets that dashboards for HTTP expect."""
    async with connect(sandbox, telemetry) as client:
        await client.ping()
    bounds = telemetry.points("http.client.request.duration")[0].explicit_bounds
    assert bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


async def test_a_cached_answer_is_recorded_and_is_no_request(telemetry):
    """A hit is a span without attempts that says so; it counts as a hit and not in the durations of requests."""

    def serve(request):
        return kit.data({"currencies": [], "total_items": 0}, headers={"Cache-Control": "max-age=60"})

    async with kit.served(serve, telemetry=telemetry.make(), cache=ResponseCache()) as client:
        for _ in range(3):
            await client.currencies.list().page()
    spans = telemetry.named("GET /currencies")
    assert [span.attributes.get("carecloud.cached") for span in spans] == [None, True, True]
    assert [len(telemetry.below(span)) for span in spans] == [1, 0, 0]
    assert telemetry.count("carecloud.client.cache.misses") == 1
    assert telemetry.count("carecloud.client.cache.hits") == 2
    durations = telemetry.points("http.client.request.duration")
    assert [p.count for p in durations if p.attributes["url.template"] == "/currencies"] == [1]


async def test_nothing_planted_is_in_any_span_or_metric(telemetry):
    """Ids, filters, bodies, headers, passwords, tokens and the server's prose appear nowhere."""

    def serve(request):
        if "login" in request.url.path:
            return kit.login_answer("planted-secret")
        error = {"detail": "planted-detail", "title": "Plantedname", "type": "planted@example.com"}
        headers = {"X-Request-Id": "planted-secret", "X-Owner": "planted@example.com"}
        return httpx.Response(500, json={"error": error}, headers=headers)

    auth = EnterpriseCredentials(
        external_application_id="a" * 24, login="planted@example.com", password="planted-secret"
    )
    options = {"telemetry": telemetry.make(), "transport": httpx.MockTransport(serve)}
    async with CareCloud("x.example.com", auth=auth, retry=RetryPolicy(base=0.001), **options) as client:
        calls = [
            client.customers.get("c0ffee00c0ffee00c0ffee00"),
            client.customers.list(email="planted@example.com", last_name="Plantedname").page(),
            client.customers.update("c0ffee00c0ffee00c0ffee00", {"personal_information": {"last_name": "Plantedname"}}),
            client.request("GET", "things/c0ffee00c0ffee00c0ffee00", headers={"X-Mine": "planted-secret"}),
            client.request("POST", "things", json={"email": "planted@example.com"}),
        ]
        for call in calls:
            with pytest.raises((ServerError, OutcomeUnknownError)):
                await call
    told = "".join(span.to_json() for span in telemetry.spans) + telemetry.reader.get_metrics_data().to_json()
    assert "/things/{id2}" in told
    assert [secret for secret in SECRETS if secret in told] == []


async def test_a_cancelled_call_ends_its_spans_and_is_no_failure(sandbox, telemetry):
    """Cancelled in mid-attempt: both spans end with the cancellation's name, and their status is not ERROR."""
    async with connect(sandbox, telemetry) as client:
        await client.login()
        with anyio.CancelScope() as scope:

            async def cancel(_request):
                scope.cancel()
                await anyio.sleep_forever()

            sandbox.on_request = cancel
            await client.ping()
        assert not trace.get_current_span().get_span_context().is_valid
    (call,) = telemetry.named("GET /customers")
    (attempt,) = telemetry.below(call)
    assert {span.attributes["error.type"] for span in (call, attempt)} <= {"CancelledError", "Cancelled"}
    assert {span.status.status_code for span in (call, attempt)} == {StatusCode.UNSET}


async def test_time_that_runs_out_is_a_failure(sandbox, telemetry):
    """A call that took longer than its total ends attempt and call with the error's class."""
    async with connect(sandbox, telemetry) as client:
        await client.login()
        sandbox.faults.add("GET /customers", delay=3600)
        with pytest.raises(TimeoutError):
            await client.with_options(timeout=Timeout(total=0.5)).ping()
    (call,) = telemetry.named("GET /customers")
    spans = [call, *telemetry.below(call)]
    assert [span.attributes["error.type"] for span in spans] == ["RequestTimeoutError"] * 2
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR] * 2


async def test_calls_stand_below_the_span_of_the_application(sandbox, telemetry):
    """The current span of each task is the parent, also of calls side by side, and is current again afterwards."""
    tracer = telemetry.tracer_provider.get_tracer("app")

    async def work(number):
        with tracer.start_as_current_span(f"work {number}") as span:
            await client.ping()
            assert trace.get_current_span() is span

    async with connect(sandbox, telemetry) as client:
        await client.login()
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(work, number)
    parents = {span.context.span_id for span in telemetry.spans if span.name.startswith("work")}
    assert {span.parent.span_id for span in telemetry.named("GET /customers")} == parents
    assert len(parents) == 5


async def test_a_log_line_of_the_call_stands_in_its_span(sandbox, telemetry, caplog):
    """The span is current while the SDK logs the call, so that logs and traces can be joined."""
    ids = []

    class Catch(logging.Filter):
        def filter(self, record):
            ids.append(trace.get_current_span().get_span_context().span_id)
            return True

    caplog.set_level(logging.INFO, "carecloud_async")
    log, catch = logging.getLogger("carecloud_async"), Catch()
    log.addFilter(catch)
    try:
        async with connect(sandbox, telemetry) as client:
            await client.ping()
    finally:
        log.removeFilter(catch)
    assert ids == [span.context.span_id for name in (LOGIN, "GET /customers") for span in telemetry.named(name)]


async def test_clients_of_one_project_add_their_paces(sandbox, telemetry):
    """One telemetry serves several clients; the gauge is the sum over those that have a limit, and closed ones go."""
    made = telemetry.make()
    limits = [RateLimit(requests_per_second=20), RateLimit(requests_per_second=30), None]
    clients = [connect(sandbox, telemetry, telemetry=made, rate_limit=limit) for limit in limits]
    for client in clients:
        await client.ping()
    (pace,) = telemetry.points("carecloud.client.pace")
    assert pace.value == 50
    for client in clients:
        await client.aclose()


async def test_a_look_whose_session_it_is_counts_as_no_login(sandbox, telemetry):
    """`login()` of a resumed session asks the server about its token: no token was asked for, and none refused."""
    async with connect(sandbox, telemetry, auth=CustomerSession.resume(token_id="ended")) as client:
        with pytest.raises(SessionExpiredError):
            await client.login()
    assert telemetry.points("http.client.request.duration")
    assert not telemetry.points("carecloud.client.logins") + telemetry.points("carecloud.client.login.refusals")
