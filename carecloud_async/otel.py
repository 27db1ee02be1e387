"""OpenTelemetry: spans and metrics of a client's calls.

```python
from carecloud_async.otel import OpenTelemetry

client = CareCloud(…, telemetry=OpenTelemetry())
```
One span for each call, spans below it for its attempts and for a login that it makes; the histogram of durations that
dashboards for HTTP know, and what only the SDK knows under `carecloud.client.*`.

No attribute is secret or personal: paths are templates, errors are class names, no header and no body is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextvars import Token
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

from attrs import frozen

from carecloud_async._base.project import Project
from carecloud_async._calls.call.events import CallObserver, CallRecord, CallStart, is_cancellation
from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.call.retry import FailureKind
from carecloud_async._version import __version__
from carecloud_async.errors import AuthenticationError

try:
    from opentelemetry import context, metrics, trace
except ImportError as _error:  # pragma: no cover  (the tests have it)
    raise ImportError("carecloud_async.otel needs opentelemetry-api: pip install 'carecloud-async[otel]'") from _error

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.propagators.textmap import Setter, TextMapPropagator
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

__all__ = ["OpenTelemetry"]

_SCHEMA = "https://opentelemetry.io/schemas/1.40.0"
#: The bounds that the semantic conventions ask for (seconds).
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LIMITER_BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_PORTS = {"http": 80, "https": 443}
#: Paths that the user makes up could let the table of operations grow without end.
_MOST_OPERATIONS = 1000

Attributes = dict[str, Any]


class _HeaderSetter(Setter[MutableMapping[str, str]]):
    """Writes a header of a request."""

    def set(self, carrier: MutableMapping[str, str], key: str, value: str) -> None:
        carrier[key] = value


_SETTER = _HeaderSetter()


@frozen(eq=False)
class _OpenSpan:
    """A span that has begun and is the current one of its task."""

    span: Span
    around: Context
    token: Token[Context]

    def end(self, attributes: Mapping[str, Any], error: str | None) -> None:
        """End it, and make the one around it current again."""
        span = self.span
        if span.is_recording():
            if attributes:
                span.set_attributes(attributes)
            if error is not None:
                span.set_attribute("error.type", error)
                if not is_cancellation(error):
                    span.set_status(StatusCode.ERROR)
        span.end()
        # A call that the garbage collector closes ends in a context where it never was the current one.
        if context.get_current() is self.around:
            context.detach(self.token)


class _OpenCall:
    """A call under way, its attempt under way, if any, and how often it was sent.

    Args:
        call: the span of the whole call.
    """

    def __init__(self, call: _OpenSpan) -> None:
        self.call = call
        self.attempt: _OpenSpan | None = None
        self.sent = 0


class OpenTelemetry:
    """Spans and metrics of the clients that it is given to (`CareCloud(telemetry=…)`); it may serve several.

    Args:
        tracer_provider: where spans go; the global provider if left out.
        meter_provider: where metrics go; the global provider if left out.
        propagator: writes the trace into the headers of each request (`traceparent`); nothing is written if left out,
            since the API is another company's. `opentelemetry.propagate.get_global_textmap()` is the usual one.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagator: TextMapPropagator | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("carecloud_async", __version__, tracer_provider, _SCHEMA)
        self._instruments = _Instruments(metrics.get_meter("carecloud_async", __version__, meter_provider, _SCHEMA))
        self._propagator = propagator

    def observer(self, project: Project, rate: Callable[[], float | None]) -> CallObserver:
        """Return the observer of one client; see `calls.events.Telemetry`."""
        observer = _Observer(self._tracer, self._instruments, self._propagator, server=_server(project), rate=rate)
        self._instruments.observers.add(observer)
        return observer


def _server(project: Project) -> Attributes:
    parts = urlsplit(project.origin)
    return {"server.address": parts.hostname or "", "server.port": parts.port or _PORTS.get(parts.scheme, 0)}


class _Instruments:
    """The metrics of one `OpenTelemetry`.

    Args:
        meter: makes them.
    """

    def __init__(self, meter: Meter) -> None:
        self.observers: WeakSet[_Observer] = WeakSet()
        self.duration = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of calls, with logins, retries and waits",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self.limiter_wait = meter.create_histogram(
            "carecloud.client.limiter.wait",
            unit="s",
            description="Waits at the rate limiter, of calls that had to wait",
            explicit_bucket_boundaries_advisory=_LIMITER_BOUNDS,
        )
        self.logins = _counter(meter, "logins", "{login}", "Requests that asked for a token, repeats not counted")
        self.refusals = _counter(meter, "login.refusals", "{login}", "Logins that the server refused")
        self.retries = _counter(meter, "retries", "{attempt}", "Attempts after the first one of a call")
        self.throttled = _counter(meter, "throttled", "{response}", "Answers with status 429")
        self.hits = _counter(meter, "cache.hits", "{call}", "Reads that the ResponseCache answered")
        self.misses = _counter(meter, "cache.misses", "{call}", "Reads that the ResponseCache did not answer")
        meter.create_observable_gauge(
            "carecloud.client.pace",
            [self._observe_rate],
            unit="{call}/s",
            description="Calls per second that the rate limiter allows; nothing while it is unlimited",
        )

    def _observe_rate(self, _: CallbackOptions) -> Iterable[Observation]:
        # Clients of one project share its limit: what the process may send is the sum.
        sums: dict[tuple[tuple[str, Any], ...], float] = {}
        for observer in list(self.observers):
            rate = observer.rate()
            if rate is not None:
                key = tuple(observer.server.items())
                sums[key] = sums.get(key, 0.0) + rate
        return [Observation(value, dict(key)) for key, value in sums.items()]


def _counter(meter: Meter, name: str, unit: str, description: str) -> metrics.Counter:
    return meter.create_counter(f"carecloud.client.{name}", unit=unit, description=description)


@frozen
class _Known:
    """The name and attributes of an operation in spans and metrics.

    Attributes:
        name: the name of its spans.
        attributes: its attributes on metrics.
        of_span: its attributes on spans.
    """

    name: str
    attributes: Attributes
    of_span: Attributes

    @classmethod
    def of(cls, operation: Operation, server: Attributes) -> _Known:
        attributes = {"http.request.method": operation.method, "url.template": operation.path, **server}
        named = {"carecloud.operation": operation.call} if operation.operation_id else {}
        return cls(operation.title, attributes, attributes | named)


class _Observer(CallObserver):
    """Observer of one client.

    Args:
        tracer: makes the spans.
        propagator: writes the trace into requests, if the user wants that.
        server: the attributes of the project's server.
        rate: returns the rate of the rate limiter, in calls per second.
    """

    def __init__(
        self,
        tracer: Tracer,
        instruments: _Instruments,
        propagator: TextMapPropagator | None,
        *,
        server: Attributes,
        rate: Callable[[], float | None],
    ) -> None:
        self.server = server
        self.rate = rate
        self._tracer = tracer
        self._metrics = instruments
        self._propagator = propagator
        self._known: dict[tuple[str, str], _Known] = {}
        self._open: dict[CallStart, _OpenCall] = {}

    def call_started(self, call: CallStart) -> None:
        """Begin the call's span, in the span that is current where the call is made."""
        known = self._know(call.operation)
        attributes = {**known.of_span, "carecloud.correlation_id": call.correlation_id}
        self._open[call] = _OpenCall(self._begin(known.name, SpanKind.CLIENT, attributes))

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """End the call's spans, and count it."""
        opened = self._open.pop(call, None)
        if opened is not None:
            if opened.attempt is not None:
                opened.attempt.end({}, record.error)
            opened.call.end(_outcome(record, sent=opened.sent), record.error)
        self._count(call, record)

    def attempt_started(self, call: CallStart, number: int, headers: MutableMapping[str, str]) -> None:
        """Begin the attempt's span, and hand the trace on if the user wants that."""
        del number
        self._send(call, headers)

    def attempt_resent(self, call: CallStart, number: int, headers: MutableMapping[str, str], status: int) -> None:
        """End the attempt's span with its refusal, mostly a 401, and begin one for its replay."""
        del number
        self._end_attempt(call, status, AuthenticationError.__name__ if status == 401 else str(status))
        self._send(call, headers)

    def attempt_ended(self, call: CallStart, number: int, status: int | None, error: BaseException | None) -> None:
        """End the attempt's span, and count a 429."""
        del number
        if status == 429:
            self._metrics.throttled.add(1, self._know(call.operation).attributes)
        self._end_attempt(call, status, None if error is None else type(error).__name__)

    def retry_scheduled(self, call: CallStart, seconds: float, kind: FailureKind) -> None:
        """Count the attempt that will follow, and mark the wait in the call's span."""
        reason = {"carecloud.retry.reason": kind.name.lower()}
        self._metrics.retries.add(1, {**self._know(call.operation).attributes, **reason})
        opened = self._open.get(call)
        if opened is not None:
            opened.call.span.add_event("retry", {**reason, "carecloud.retry.wait": seconds})

    def cache_missed(self, call: CallStart) -> None:
        """Count the miss."""
        self._metrics.misses.add(1, self._know(call.operation).attributes)

    def _end_attempt(self, call: CallStart, status: int | None, error: str | None) -> None:
        opened = self._open.get(call)
        if opened is not None and opened.attempt is not None:
            attributes = {} if status is None else {"http.response.status_code": status}
            opened.attempt.end(attributes, error)
            opened.attempt = None

    def _send(self, call: CallStart, headers: MutableMapping[str, str]) -> None:
        opened = self._open.get(call)
        if opened is not None:
            # The rest is on the span around it.
            repeat = {"http.request.resend_count": opened.sent} if opened.sent else None
            opened.attempt = self._begin("attempt", SpanKind.INTERNAL, repeat)
            opened.sent += 1
        if self._propagator is not None:
            self._propagator.inject(headers, setter=_SETTER)

    def _begin(self, name: str, kind: SpanKind, attributes: Attributes | None) -> _OpenSpan:
        span = self._tracer.start_span(name, kind=kind, attributes=attributes)
        around = trace.set_span_in_context(span)
        return _OpenSpan(span, around, context.attach(around))

    def _count(self, call: CallStart, record: CallRecord) -> None:
        attributes = self._know(call.operation).attributes
        if record.limiter_seconds:
            self._metrics.limiter_wait.record(record.limiter_seconds, self.server)
        if record.cached:
            self._metrics.hits.add(1, attributes)
            return
        attributes = dict(attributes)
        if record.status is not None:
            attributes["http.response.status_code"] = record.status
        if record.error is not None:
            attributes["error.type"] = record.error
        self._metrics.duration.record(record.seconds, attributes)
        # A GET for a login only asks whose token it is.
        if call.login and record.method != "GET" and not record.path.endswith("/logout"):
            self._metrics.logins.add(1, attributes)
            if record.error == AuthenticationError.__name__:  # a firewall's 403 refuses no credentials
                self._metrics.refusals.add(1, attributes)

    def _know(self, operation: Operation) -> _Known:
        key = (operation.method, operation.path)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_OPERATIONS:
                self._known.clear()
            known = self._known[key] = _Known.of(operation, self.server)
        return known


def _outcome(record: CallRecord, *, sent: int) -> Attributes:
    """Return the attributes of a call's outcome; `sent` says how often the call was sent."""
    attributes: Attributes = {}
    if record.status is not None:
        attributes["http.response.status_code"] = record.status
    if sent > 1:
        attributes["http.request.resend_count"] = sent - 1
    if record.limiter_seconds:
        attributes["carecloud.limiter.wait"] = record.limiter_seconds
    if record.cached:
        attributes["carecloud.cached"] = True
    return attributes
