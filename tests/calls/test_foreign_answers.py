"""Answers that something in front of CareCloud wrote, calls to a wrong address, and logins that are refused."""

import socket

import httpx
import pytest
from attrs import evolve
from every import every
from kit import InTurn, KnownUser
from verdict_families import connect, password_session
from write_calls import HTML

from carecloud_async import (
    ApiError,
    AuthenticationError,
    CareCloud,
    CareCloudError,
    ConnectionFailedError,
    CustomerSession,
    NotFoundError,
    RequestTimeoutError,
    ResponseError,
    RetryPolicy,
    ServerError,
    SessionExpiredError,
)
from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL

pytestmark = pytest.mark.anyio

NOT_FOUND = b'{"error": {"type": "about:blank", "exception": "not_found_exception"}}'
CUSTOMER = b'{"data": {"customer_id": "x"}}'


async def test_the_error_says_who_answered():
    """The text has the status, the server and the kind of the answer, and the fix names proxy and project."""
    page = b"<html><TITLE lang=en>\n Attention Required! | Cloudflare </TITLE>"
    async with connect(InTurn((404, page), headers={"Server": "cloudflare"})) as client:
        with pytest.raises(ResponseError) as caught:
            await client.customers.get("x")
    assert str(caught.value).startswith(
        "GET /customers/{customer_id}: something in front of CareCloud answered with 404 "
        "(server cloudflare, a page): check proxy= and that project_url"
    )
    assert caught.value.status == 404
    assert caught.value.fix.settings == ("proxy", "project_url")


@pytest.mark.parametrize("status", [409, 501])
async def test_a_plain_web_server_is_named_as_no_carecloud(status):
    """A status that no CareCloud has points to `project_url`, also where it is a 5xx."""
    page = b"<html><title>Error response</title></html>"
    async with connect(InTurn((status, page), headers={"Server": "SimpleHTTP/0.6 Python/3.13.1"})) as client:
        with pytest.raises((ResponseError, ServerError), match=r"server SimpleHTTP/0\.6, a page") as caught:
            await client.customers.get("x")
    assert "project_url" in caught.value.fix.settings


@pytest.mark.parametrize(
    ("body", "header", "shown"),
    [
        (b"<title>Blocked: Smith jan@example.com 8ea6</title>", "nginx/1.18.0 (Smith)", "server nginx/1.18.0, a page"),
        (b"upstream connect error", None, "a text"),
        (b" \r\n", None, "no body"),
        (b"[1]", None, "JSON that is not the API's"),
        (b"", "SimpleHTTP/0.6 Python/3.13.1", "server SimpleHTTP/0.6, no body"),
        (b"", "nginx/420777123456 jan@example.com 8ea6abece4 Smith", "no body"),
        (b"", "a" * 100, "no body"),
    ],
)
async def test_an_answer_is_described_by_its_kind_and_its_server(body, header, shown):
    """A server is named by its product; nothing of the answer's text is shown, which may repeat the request."""
    headers = {} if header is None else {"Server": header}
    async with connect(InTurn((404, body), headers=headers), retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ResponseError) as caught:
            await client.customers.list(last_name="Smith").page()
    assert f"answered with 404 ({shown})" in str(caught.value)


OTHER = b'{"status": "maintenance"}'
#: The answers to reads of a customer, the error of each read, and how many requests they are in all.
READS = [
    # The page of a firewall, of any status, is asked past once; after it, CareCloud's own 404 is a verdict.
    *(([(status, HTML), (200, CUSTOMER)], [None], 2) for status in (400, 401, 403, 404, 405, 410, 451)),
    ([(404, HTML), (404, NOT_FOUND)], [NotFoundError], 2),
    # So is a success without data, once CareCloud has answered the client; before that it shows a wrong address.
    *(([(200, CUSTOMER), (200, body), (200, CUSTOMER)], [None, None], 3) for body in (HTML, OTHER, b"[1]")),
    *(([(200, body)], [ResponseError], 1) for body in (HTML, OTHER)),
    # Data that does not fit the caller's type is the API's own answer: asking again would give the same.
    *(([(200, CUSTOMER), (200, b'{"data": %s}' % data)], [None, ResponseError], 2) for data in (b"[]", b"null")),
    # Web servers give 413, 414 and 431 by themselves: they are about the size of a request, with any body.
    *(([(status, HTML)], [ApiError], 1) for status in (413, 414, 431)),
]


@every("answers, errors, requests", READS)
async def test_what_a_read_makes_of_its_answers(answers, errors, requests):
    """What something in front of CareCloud answers is asked past; what the API itself answers counts."""
    server = InTurn(*answers)
    async with connect(server) as client:
        for error in errors:
            if error is None:
                assert (await client.customers.get("x")).customer_id == "x"
            else:
                with pytest.raises(error) as caught:
                    await client.customers.get("x")
                assert caught.value.status == answers[-1][0]
    assert len(server.requests) == requests


async def test_a_proxy_that_wants_a_password_is_asked_once():
    """A 407 comes from a proxy by its meaning: nothing was passed on, and asking again gives the same."""
    server = InTurn((407, HTML))
    async with connect(server) as client:
        with pytest.raises(ResponseError) as caught:
            await client.cards.assign_free_card(card_type_id="t", customer_id="c")
    assert caught.value.fix.settings == ("proxy",)
    assert not caught.value.may_have_happened
    assert len(server.requests) == 1


async def test_a_delete_is_done_by_the_apis_own_404_alone():
    """A repeated DELETE that finds nothing is done; a proxy's 404 says nothing of the record."""
    async with connect(InTurn((503, b""), (404, NOT_FOUND))) as client:
        await client.bookings.delete("x")
    async with connect(InTurn((503, b""), (404, HTML)), retry=RetryPolicy(attempts=3)) as client:
        with pytest.raises(ResponseError, match="it may have happened") as caught:
            await client.bookings.delete("x")
    assert caught.value.may_have_happened


class Unread(httpx.AsyncByteStream):
    """A body that arrives only when it is read."""

    async def __aiter__(self):
        yield NOT_FOUND


@pytest.mark.parametrize(
    ("content_type", "error"),
    [("application/json", NotFoundError), ("text/html", ResponseError), (None, ResponseError)],
)
async def test_an_error_that_a_hook_closed_unread_is_judged_by_its_content_type(content_type, error):
    """After `raise_for_status` in a hook of the user's client the body cannot be read: JSON is taken for the API's."""

    def respond(request):
        headers = {} if content_type is None else {"Content-Type": content_type}
        return httpx.Response(404, stream=Unread(), headers=headers)

    async def hook(response):
        response.raise_for_status()

    http = httpx.AsyncClient(transport=httpx.MockTransport(respond), event_hooks={"response": [hook]})
    options = {"retry": RetryPolicy(attempts=1), "rate_limit": None}
    async with http, CareCloud("x.example.com", auth=KnownUser(), http_client=http, **options) as client:
        with pytest.raises(error):
            await client.customers.get("x")


async def test_a_page_at_a_customers_login_is_not_remembered_as_a_refusal():
    """The next call logs in again at once, and the login that works is used."""
    tokens = b'{"data": {"token_id": "t"}}'
    server = InTurn((403, HTML), (200, tokens), (401, HTML), (200, tokens), (200, CUSTOMER), (200, CUSTOMER))
    async with connect(server, auth=password_session(), retry=RetryPolicy(attempts=1)) as client:
        for _ in range(2):
            with pytest.raises(ResponseError) as caught:
                await client.customers.get("x")
            assert not isinstance(caught.value, AuthenticationError)
        assert (await client.customers.get("x")).customer_id == "x"


CUSTOMER_ANSWER = httpx.Response(200, content=b'{"data": {"customer_id": "x"}}')


async def seconds_to_fail(client, clock, error):
    """Return how long a call waits until it raises the error."""
    began = clock.monotonic()
    with pytest.raises(CareCloudError) as caught:
        await client.customers.get("x")
    assert type(caught.value) is error
    return clock.monotonic() - began


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError("refused"), ConnectionFailedError),
        (httpx.Response(404, content=HTML), ResponseError),
        (httpx.Response(409, content=HTML), ResponseError),
    ],
)
async def test_a_wrong_address_shows_after_three_seconds(failure, error):
    """Until CareCloud has answered, each call is repeated for three seconds; afterwards as often as the policy says."""
    clock, server = FakeClock(), InTurn(failure)
    async with connect(server, clock=clock) as client:
        for _ in range(3):
            server.requests.clear()
            assert await seconds_to_fail(client, clock, error) == pytest.approx(3)
            assert 3 <= len(server.requests) <= 8
        server.answers = [CUSTOMER_ANSWER]
        await client.customers.get("x")
        server.answers = [failure]
        server.requests.clear()
        await seconds_to_fail(client, clock, error)
    assert len(server.requests) == 8


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.Response(502, content=HTML), ServerError),
        (httpx.ConnectTimeout("no connection in time"), RequestTimeoutError),
        (httpx.ReadError("reset"), ConnectionFailedError),
    ],
)
async def test_a_server_that_is_only_away_is_asked_as_often_as_the_policy_says(failure, error):
    """At the first call too, a gateway's 502, a slow connection and one that breaks are repeated as the policy says."""
    clock, server = FakeClock(), InTurn(failure)
    async with connect(server, clock=clock) as client:
        await seconds_to_fail(client, clock, error)
    assert len(server.requests) == 8


async def test_an_answer_to_any_view_or_login_counts(sandbox):
    """A login that CareCloud answered shows that the address is right, for all views of the client."""
    clock, transport = FakeClock(), sandbox.transport()
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=transport, clock=clock) as client:
        await client.login()
        sandbox.faults.add("GET *", status=404, html=True, times=8)
        with pytest.raises(ResponseError), client.record_calls() as records:
            await client.with_options(language="en").customers.get("x")
    assert records[-1].attempts == 8


async def test_a_closed_port_ends_a_call_in_three_seconds():
    """On a real socket, a refused connection ends the first call of a client, and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clock = FakeClock()
    async with CareCloud(f"http://127.0.0.1:{port}", auth=KnownUser(), clock=clock, allow_http=True) as client:
        began = clock.monotonic()
        with pytest.raises(ConnectionFailedError, match="the server was not reached") as caught:
            await client.customers.get("x")
    assert caught.value.fix.settings == ("project_url",)
    assert clock.monotonic() - began == pytest.approx(3)


async def refusal(sandbox, auth):
    async with CareCloud("x.example.com", auth=auth, transport=sandbox.transport()) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.login()
    return caught.value


async def test_whose_credentials_were_refused(sandbox):
    """A customer's refused password or e-mail is a refused login, and no other refusal is."""
    known = sandbox.customer_session()
    device = evolve(sandbox.device(), external_application_id="0" * 26)
    for auth, refused in (
        (evolve(known, password="wrong"), True),
        (evolve(known, login_value=f"x{FIRST_CUSTOMER_EMAIL}"), True),
        (CustomerSession(device, login_type="email", login_value="a@example.com", password="x"), False),
        (evolve(sandbox.credentials(), password="wrong"), False),
        (CustomerSession.resume(token_id="ended"), False),
    ):
        error = await refusal(sandbox, auth)
        assert error.login_refused is refused
    assert isinstance(error, SessionExpiredError)


@pytest.mark.parametrize("status", [408, 425, 429, 503])
async def test_a_busy_server_refuses_no_credentials(sandbox, status):
    """A login that is answered with 408, 425, 429 or 503 fails one call, and the next call logs in at once."""
    sandbox.faults.add("POST /users/actions/login", status=status)
    once = {"retry": RetryPolicy(attempts=1), "rate_limit": None}
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport(), **once) as client:
        with pytest.raises(ApiError) as caught:
            await client.ping()
        assert not isinstance(caught.value, AuthenticationError)
        await client.ping()
    assert sandbox.count("POST /users/actions/login") == 2
