"""Answers as a user's hooks see them, and what the logs of the HTTP libraries show of them."""

import gzip
import logging
import pickle

import httpx
import httpx2
import pytest
from wire_server import answer, new_client, serving

from carecloud_async import BadRequestError, ConnectionFailedError, ResponseError

pytestmark = pytest.mark.anyio

CUSTOMER = '{"data":{"customer_id":"8ea6","personal_information":{"last_name":"Růžičková"}}}'.encode()
COOKIE = b"Set-Cookie: PHPSESSID=0; path=/"
ANSWERS = {
    "plain": answer(CUSTOMER, b"200 OK", COOKIE),
    "packed": answer(gzip.compress(CUSTOMER), b"200 OK", COOKIE, b"Content-Encoding: gzip"),
}
EACH = pytest.mark.parametrize("sent", ANSWERS.values(), ids=ANSWERS)


@EACH
async def test_a_hook_sees_a_whole_answer(sent):
    """A response hook may read the body in every way that httpx has; the call gets it too, and no cookie is kept."""
    seen = []

    async def hook(response):
        assert await response.aread() == response.content == CUSTOMER
        assert "".join([part async for part in response.aiter_text()]) == CUSTOMER.decode()
        assert response.json()["data"]["customer_id"] == "8ea6"
        assert [part async for part in response.aiter_lines()] == [response.text] == [CUSTOMER.decode()]
        assert b"".join([part async for part in response.aiter_bytes(7)]) == CUSTOMER
        assert response.is_closed
        assert response.elapsed.total_seconds() > 0
        seen.append(response.reason_phrase)

    async with serving(sent) as server, new_client(server.url) as client:
        await client.login()
        client.http.event_hooks = {"response": [hook]}
        customer = await client.customers.get("8ea6")
        client.http.cookies.set("mine", "1")
        assert not client.http.cookies
    assert customer.personal_information.last_name == "Růžičková"
    assert seen == ["OK"]


@EACH
async def test_a_hook_that_takes_the_body_off_the_stream_is_named(sent):
    """With a client of the user's own, a hook may leave nothing to read: the error says so, and is ours."""

    async def hook(response):
        async for _ in response.aiter_text():
            pass

    async with httpx.AsyncClient() as http, serving(sent) as server, new_client(server.url, http_client=http) as client:
        await client.login()
        http.event_hooks = {"response": [hook]}
        with pytest.raises(ResponseError, match="hook"):
            await client.customers.get("8ea6")


@pytest.mark.parametrize(("sent", "read"), [("ř".encode(), "ř"), (b"\xe9", "é")], ids=["UTF-8", "Latin-1"])
async def test_a_record_has_the_headers_of_its_answer(sent, read):
    """They are found in any case and encoding, repeated ones are joined, and the record can be pickled."""
    headers = [b"X-Two: 1", b"x-two: 2", b"X-Text: " + sent]
    async with serving(answer(CUSTOMER, b"200 OK", *headers)) as server, new_client(server.url) as client:
        with client.record_calls() as calls:
            await client.customers.get("8ea6")
    record = calls[-1]
    assert [record.headers.get(name) for name in ("X-TWO", "x-text", "x-none")] == ["1, 2", read, None]
    assert set(record.headers) == {"content-length", "x-two", "x-text"}
    assert pickle.loads(pickle.dumps(record)) == record


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
    assert "planted" not in caplog.text + str([vars(record) for record in caplog.records])


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
    assert "planted" not in caplog.text + str([vars(record) for record in caplog.records])
