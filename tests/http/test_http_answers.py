"""Answers as a user's hooks on `client.http` see them, with the default transport over a socket."""

import gzip
import logging
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import httpx2
import pytest
from exchange_server import answer, new_client, serving
from kit import login_body

from carecloud_async import BadRequestError, CareCloud, ConnectionFailedError, EnterpriseCredentials, ResponseError

pytestmark = pytest.mark.anyio

CUSTOMER = '{"data":{"customer_id":"8ea6","personal_information":{"last_name":"Růžičková"}}}'.encode()
AUTH = EnterpriseCredentials(external_application_id="89d1", login="fabulous_user", password="secret")


LONG = "x" * 20_000


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(login_body())

    def do_GET(self):
        packed = "packed" in self.path
        self._answer(gzip.compress(CUSTOMER) if packed else CUSTOMER, packed=packed)

    def _answer(self, body, *, packed=False):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Set-Cookie", "PHPSESSID=0; path=/")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        if "long" in self.path:
            self.send_header("Content-Security-Policy", LONG)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture(scope="module")
def url():
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["8ea6", "packed"])
async def test_a_hook_sees_a_whole_answer(url, name):
    """A response hook may read the body in every way that httpx has; the call gets it all the same."""
    seen = []

    async def hook(response):
        assert await response.aread() == response.content == CUSTOMER
        assert "".join([part async for part in response.aiter_text()]) == CUSTOMER.decode()
        assert response.json()["data"]["customer_id"] == "8ea6"
        assert response.text == CUSTOMER.decode()
        assert [part async for part in response.aiter_lines()] == [CUSTOMER.decode()]
        assert b"".join([part async for part in response.aiter_bytes(7)]) == CUSTOMER
        assert response.is_closed
        assert response.elapsed.total_seconds() > 0
        seen.append(response.reason_phrase)

    async with CareCloud(url, auth=AUTH, rate_limit=None) as client:
        await client.login()
        client.http.event_hooks = {"response": [hook]}
        customer = await client.customers.get(name)
    assert customer.personal_information.last_name == "Růžičková"
    assert seen == ["OK"]


async def test_no_cookie_is_kept(url):
    """The default client keeps no cookies, neither those that a server sets nor those that were put in."""
    async with CareCloud(url, auth=AUTH) as client:
        await client.customers.get("8ea6")
        client.http.cookies.set("mine", "1")
        assert not client.http.cookies


async def test_a_long_header_is_no_failure(url):
    """Headers of twenty kilobytes, as proxies write them, do not make a failure of an answer."""
    async with CareCloud(url, auth=AUTH) as client:
        assert (await client.customers.get("long")).customer_id == "8ea6"


@pytest.mark.parametrize("name", ["8ea6", "packed"])
async def test_a_hook_that_takes_the_body_off_the_stream_is_named(url, name):
    """With a client of the user's own, a hook may leave nothing to read: the error says so, and is ours."""

    async def hook(response):
        async for _ in response.aiter_text():
            pass

    async with httpx.AsyncClient() as http, CareCloud(url, auth=AUTH, http_client=http) as client:
        await client.login()
        http.event_hooks = {"response": [hook]}
        with pytest.raises(ResponseError, match="hook"):
            await client.customers.get(name)


@pytest.mark.parametrize("family", [None, httpx, httpx2], ids=["default", "httpx", "httpx2"])
async def test_the_reason_behind_a_status_is_in_no_log(family, caplog):
    """Some back ends write their error's text behind the status, which httpx logs: the usual reason stands there."""
    caplog.set_level(logging.DEBUG)
    http = family and family.AsyncClient()
    refusal = answer(b'{"error": {}}', b"400 No customer planted@example.com")
    async with serving(refusal) as server, new_client(server.url, http_client=http) as client:
        with pytest.raises(BadRequestError):
            await client.customers.get("8ea6")
    if http is not None:
        await http.aclose()
    assert '"HTTP/1.1 400 Bad Request"' in caplog.text
    assert "planted" not in caplog.text + str([vars(one) for one in caplog.records])


@pytest.mark.parametrize("family", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_a_piece_of_a_broken_body_is_in_no_log(family, caplog):
    """h11 quotes the line that is no size of a chunk, and httpcore logs it: the name of the event stands there."""
    caplog.set_level(logging.DEBUG)
    broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplanted@example.com\r\n"
    async with (
        family.AsyncClient() as http,
        serving(broken, b"") as server,
        new_client(server.url, http_client=http) as client,
    ):
        await client.login()
        with pytest.raises(ConnectionFailedError):
            await client.customers.get("8ea6")
    assert "receive_response_body.failed" in caplog.text
    assert "planted" not in caplog.text + str([vars(one) for one in caplog.records])
