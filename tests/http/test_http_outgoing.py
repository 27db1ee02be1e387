"""A plain request goes past aiohttp's session, and looks the same on the wire."""

import re

import httpx
import pytest
import yarl
from exchange_server import BODY, answer, new_client, outcome, serving
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import CustomerInput, CustomerSourceInput
from carecloud_async import PersonalInformationInput as Person
from carecloud_async._calls.call.events import CallObserver
from carecloud_async._calls.http.outgoing import OutgoingRequest, RequestDefaults
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Run on asyncio alone, as aiohttp does."""
    return "asyncio"


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


async def test_the_bytes_on_the_wire_are_those_of_a_session(ways):
    """Verb, target, headers in their order and body are the same, to the byte."""
    seen = []
    for way in ("exchange", "session"):
        if way == "session":
            ways.force_session()
        async with serving(answer(BODY)) as server, new_client(server.url, app_name="portal/2") as client:
            await every_kind(client)
        assert way in ways.seen
        seen.append([request.replace(server.url[7:].encode(), b"HOST") for request in server.requests])
    assert seen[0] == seen[1]
    assert len(seen[0]) >= 9
    assert ways.seen.count("exchange") >= 8


class _Tagging(CallObserver):
    """Sets headers of each request, and reads one if asked to."""

    def __init__(self, headers, *, reads):
        self.headers = headers
        self.reads = reads
        self.read = None

    def attempt_started(self, call, number, headers):
        headers.update(self.headers)
        if self.reads:
            self.read = dict(headers)


class _Telemetry:
    def __init__(self, observer):
        self._observer = observer

    def observer(self, project, pace):
        return self._observer


@pytest.mark.parametrize(
    ("headers", "reads", "way"),
    [
        ({"traceparent": "00-1"}, False, "exchange"),
        ({"traceparent": "00-1"}, True, "session"),
        ({"Accept-Language": "de"}, False, "session"),
        ({"traceparent": "00-ř"}, False, "session"),
        ({"Connection": "close"}, False, "session"),
    ],
)
async def test_headers_that_an_observer_adds_are_sent(ways, headers, reads, way):
    """New ones go with the exchange; a request that is looked at, or framed anew, goes through the session."""
    observer = _Tagging(headers, reads=reads)
    patched_at = len(ways.seen)
    async with serving(answer(BODY)) as server, new_client(server.url, telemetry=_Telemetry(observer)) as client:
        await client.customers.get("8ea6")
    [request] = server.requests
    for name, value in headers.items():
        assert request.lower().count(f"\r\n{name}: {value}\r\n".lower().encode()) == 1
        assert request.lower().count(f"\r\n{name}:".lower().encode()) == 1
    if reads:
        assert observer.read["host"] == server.url[7:]
    # The login is a request of its own, which is tagged as well.
    assert ways.seen[patched_at:] == (["exchange"] * 2 if way == "exchange" else [])


async def test_a_header_with_a_line_break_is_not_sent(ways):
    """An observer cannot smuggle a request in: nothing leaves, and the error is ours."""
    observer = _Tagging({"x-note": "a\r\n\r\nGET / HTTP/1.1"}, reads=False)
    async with serving(answer(BODY)) as server, new_client(server.url, telemetry=_Telemetry(observer)) as client:
        kind, *_ = await outcome(client.customers.get("8ea6"))
    assert kind != "Customer"
    assert server.requests == []


async def test_an_error_names_a_request_that_shows_no_token():
    """The exception of httpx is about the family's request, which prints as the path template."""
    async with serving(b"") as server, new_client(server.url) as client:
        headers = httpx.Headers({"Host": "h"})
        form = RequestDefaults(httpx, origin=server.url, headers=headers, phases={})
        request = OutgoingRequest(form, "GET", httpx.URL("http://h/shown"), "/true", None)
        request.set_bearer("secret")
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await client.http.send_buffered(request)
    assert caught.value.request is request.to_httpx()
    assert caught.value.request.headers["Authorization"] == "Bearer secret"
    assert repr(caught.value.request) == "<Request('GET', 'http://h/shown')>"


TARGETS = st.text("/aZ09-_.~%41&=+:@,;!$'()*?#[]{}\"\\ \r\nř", max_size=30).map(lambda text: "/" + text)


@given(target=TARGETS)
def test_a_plain_target_is_one_that_a_session_writes_as_it_is(target):
    """What is written past the session is what yarl would have written."""
    form = RequestDefaults(httpx, origin="http://h", headers=httpx.Headers({"Host": "h"}), phases={})
    request = OutgoingRequest(form, "GET", httpx.URL("http://h"), target, None)
    if request.is_plain:
        assert yarl.URL("http://h" + target, encoded=True).raw_path_qs == target
        assert request.wire().startswith(b"GET " + target.encode() + b" HTTP/1.1\r\n")
    if re.search(r"[\x00-\x20\x7f-\U0010ffff#]", target):
        assert not request.is_plain
