"""Requests on the wire are the same with a hook, whose request httpx's client sends, and without one."""

import pytest
from opentelemetry.propagators.textmap import TextMapPropagator, default_setter
from wire_server import BODY, answer, new_client, outcome, serving

from carecloud_async import CustomerInput, CustomerSourceInput
from carecloud_async import PersonalInformationInput as Person
from carecloud_async.otel import OpenTelemetry
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # trio has httpx2's pool


def new_customer():
    return CustomerInput(personal_information=Person(first_name="Žofie", email="new@example.com", language_id="en"))


async def every_kind(client):
    """Make requests of every kind."""
    source = {"customer_source_id": CUSTOMER_SOURCE_IDS[0]}
    customer = "customers/{customer_id}"
    for call in (
        lambda: client.customers.get("8ea6"),
        lambda: client.customers.get("a b/ř?#%"),
        lambda: client.customers.list(last_name="Novák & syn", count=5).page(),
        lambda: client.customers.create(new_customer(), customer_source=CustomerSourceInput(**source)),
        lambda: client.request("DELETE", customer, path_params={"customer_id": "8"}),
        lambda: client.request("PUT", customer, path_params={"customer_id": "8"}, json={"a": "ř"}),
        lambda: client.request("GET", "status", headers={"X-Trace-Id": "0 1"}),
        lambda: client.request("GET", "status", headers={"Accept-Language": "de"}),
        lambda: client.with_options(language="en").request("GET", "status", params={"a": ["1", "2"], "b": "?+ ="}),
        lambda: client.request("POST", "status", json={"long": "x" * 100_000}),
    ):
        await outcome(call())


async def hook(response):
    """Let httpx's client send the requests."""


async def test_the_bytes_on_the_wire_are_the_same_with_a_hook():
    """Verb, target, headers in their order and body are the same, to the byte."""
    seen = []
    for hooks in ([], [hook]):
        async with serving(answer(BODY)) as server, new_client(server.url, app_name="portal/2") as client:
            client.http.event_hooks = {"response": hooks}
            await every_kind(client)
        seen.append([request.replace(server.url[7:].encode(), b"HOST") for request in server.requests])
    assert seen[0] == seen[1]
    assert len(seen[0]) >= 9


class Tagging(TextMapPropagator):
    """Sets headers of each request, and reads them if asked to."""

    fields = frozenset()

    def __init__(self, headers, *, reads=False):
        self.headers, self.reads, self.read = headers, reads, None

    def extract(self, *_, **__):
        raise NotImplementedError

    def inject(self, carrier, context=None, setter=default_setter):
        for name, value in self.headers.items():
            setter.set(carrier, name, value)
        if self.reads:
            self.read = dict(carrier)


@pytest.mark.parametrize(
    ("headers", "reads"),
    [
        ({"traceparent": "00-1"}, False),
        ({"traceparent": "00-1"}, True),
        ({"Accept-Language": "de"}, False),
        ({"traceparent": "00-ř"}, False),
        ({"Connection": "close"}, False),
    ],
)
@pytest.mark.parametrize("hooks", [[], [hook]], ids=["plain", "hooked"])
async def test_headers_that_telemetry_adds_are_sent(headers, reads, hooks):
    """New ones, and those that take the place of one of the SDK's; also if the request is looked at."""
    tagging = Tagging(headers, reads=reads)
    telemetry = OpenTelemetry(propagator=tagging)
    async with serving(answer(BODY)) as server, new_client(server.url, telemetry=telemetry) as client:
        client.http.event_hooks = {"response": hooks}
        await client.customers.get("8ea6")
    [request] = server.requests
    for name, value in headers.items():
        assert request.lower().count(f"\r\n{name}: {value}\r\n".lower().encode()) == 1
        assert request.lower().count(f"\r\n{name}:".lower().encode()) == 1
    if reads:
        assert tagging.read["Host"] == server.url[7:]


async def test_a_header_with_a_line_break_is_not_sent():
    """Telemetry cannot smuggle a request in: nothing leaves, and the error is ours."""
    telemetry = OpenTelemetry(propagator=Tagging({"x-note": "a\r\n\r\nGET / HTTP/1.1"}))
    async with serving(answer(BODY)) as server, new_client(server.url, telemetry=telemetry) as client:
        kind, *_ = await outcome(client.customers.get("8ea6"))
    assert kind != "Customer"
    assert server.requests == []
