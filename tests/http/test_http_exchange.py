"""Calls over a real socket, with a hook and without: the result or error for each kind of answer."""

import gzip

import pytest
from kit import KnownUser
from wire_server import BODY, answer, chunked, new_client, outcome, serving

from carecloud_async import CareCloud, CareCloudError, RetryPolicy, Timeout

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # trio has httpx2's pool

LONG = 20_000


#: The class and the words of errors.
UNPACKABLE = ("ResponseError", "the answer cannot be unpacked (DecodingError)")
HUNG_UP = ("ConnectionFailedError", "the server hung up (RemoteProtocolError)")
NOT_HTTP = ("ConnectionFailedError", "the answer is not valid HTTP (")
TOO_LARGE = ("ResponseError", "the response is larger than max_response_bytes=1000000")
LATE = ("RequestTimeoutError", "no answer in time (ReadTimeout)")
IN_FRONT = "something in front of CareCloud answered"
GZIP = b"Content-Encoding: gzip"
#: What is sent, the error that it means, if any, and how many connections two such calls need.
ANSWERS = {
    "plain": ((answer(BODY),), None, 1),
    "in pieces": ((answer(BODY)[:30], 0.01, answer(BODY)[30:70], 0.01, answer(BODY)[70:]), None, 1),
    "chunked": ((chunked(BODY),), None, 1),
    "gzip": ((answer(gzip.compress(BODY), b"200 OK", GZIP),), None, 1),
    "gzip, chunked": ((chunked(gzip.compress(BODY), GZIP),), None, 1),
    "no gzip": ((answer(b"no gzip", b"200 OK", GZIP),), UNPACKABLE, 1),
    "unknown packing": ((answer(BODY, b"200 OK", b"Content-Encoding: br"),), UNPACKABLE, 1),
    "until the end": ((b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY, b""), None, 2),
    "HTTP/1.0": ((b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY), b""), None, 2),
    "HTTP/1.0 until the end": ((b"HTTP/1.0 200 OK\r\n\r\n" + BODY, b""), None, 2),
    "until the end, which is not said": ((b"HTTP/1.1 200 OK\r\n\r\n" + BODY, b""), None, 2),
    "the last one": ((answer(BODY, b"200 OK", b"Connection: close"),), None, 2),
    "an offer of HTTP/2": (
        (answer(BODY, b"200 OK", b"Upgrade: h2,h2c", b"Connection: Upgrade, Keep-Alive"),),
        None,
        1,
    ),
    "bare line feeds": ((answer(BODY).replace(b"\r\n", b"\n"),), None, 1),
    "early hints": (
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answer(BODY),),
        None,
        1,
    ),
    "a long header": ((answer(BODY, b"200 OK", b"X-Policy: " + b"x" * LONG),), None, 1),
    "odd header": ((answer(BODY, b"200 OK", "X-Odd: ř".encode(), b"Set-Cookie: a=b"),), None, 1),
    "no content": ((b"HTTP/1.1 204 No Content\r\n\r\n",), ("ResponseError", "the body is empty"), 1),
    "not modified": (
        (b"HTTP/1.1 304 Not Modified\r\n\r\n",),
        ("ResponseError", "the server redirects (304), which the API never does"),
        1,
    ),
    "switching": (
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",),
        ("ResponseError", f"{IN_FRONT} with 101 (no body)"),
        2,
    ),
    "redirect": (
        (answer(b"", b"302 Found", b"Location: /elsewhere"),),
        ("ResponseError", "the server redirects (302), which the API never does"),
        1,
    ),
    "bad request": (
        (answer(b'{"error":{"exception":"BAD"}}', b"400 Bad Request"),),
        ("BadRequestError", "400 on … (BAD)"),
        1,
    ),
    "not found": (
        (answer(b"{}", b"404 Not Found"),),
        ("ResponseError", f"{IN_FRONT} with 404 (JSON that is not the API's)"),
        1,
    ),
    "forbidden": ((answer(b"<html>", b"403 Forbidden"),), ("ResponseError", f"{IN_FRONT} with 403 (a page)"), 1),
    "throttled": (
        (answer(b"{}", b"429 Too Many Requests", b"Retry-After: 7"),),
        ("RateLimitError", "429 on … - something in front of CareCloud answered (JSON that is not the API's)"),
        1,
    ),
    "down": (
        (answer(b"down", b"503 Service Unavailable"),),
        ("ServerError", "503 on … - something in front of CareCloud answered (a text)"),
        1,
    ),
    "no JSON": ((answer(b"<html>"),), ("ResponseError", "the body looks like HTML, not JSON"), 1),
    "nothing": ((b"",), HUNG_UP, 2),
    "half a head": ((b"HTTP/1.1 200 O", b""), HUNG_UP, 2),
    "half a body": ((answer(BODY)[:-5], b""), HUNG_UP, 2),
    "half a chunk": ((chunked(BODY)[:-20], b""), HUNG_UP, 2),
    "a broken chunk": ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b""), NOT_HTTP, 2),
    "a chunk that is broken later": ((chunked(BODY)[:-5], 0.01, b"xyz\r\n", b""), NOT_HTTP, 2),
    "a broken length": ((b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b""), NOT_HTTP, 2),
    "no HTTP": ((b"SSH-2.0-OpenSSH_9.6\r\n", b""), NOT_HTTP, 2),
    "too large": ((answer(b"x" * 2_000_000),), TOO_LARGE, 2),
    "too large, chunked": ((chunked(b"x" * 2_000_000),), TOO_LARGE, 2),
    "too large, unpacked": ((answer(gzip.compress(b"x" * 2_000_000), b"200 OK", GZIP),), TOO_LARGE, 1),
    "stray bytes": ((answer(BODY) + b"HTTP/1.1 200 OK\r\n",), None, 2),
    "slow head": ((1.0, answer(BODY)), LATE, 2),
    "slow body": ((answer(BODY)[:-5], 1.0, answer(BODY)[-5:]), LATE, 2),
}


async def hook(response):
    """Let httpx's client send the requests."""


def watch(client, hooked):
    if hooked:
        client.http.event_hooks = {"response": [hook]}


HOOKED = pytest.mark.parametrize("hooked", [False, True], ids=["plain", "hooked"])


@HOOKED
@pytest.mark.parametrize(("sent", "error", "connections"), ANSWERS.values(), ids=ANSWERS)
async def test_outcome_of_each_answer(sent, error, connections, hooked):
    """Result or error, its words, and whether the connection is used again; a hook changes nothing."""
    timeout = Timeout(read=0.1 if 1.0 in sent else 20)
    async with serving(*sent) as server, new_client(server.url, max_response_bytes=1_000_000) as client:
        watch(client, hooked)
        await client.login()
        for _ in range(2):
            result = await outcome(client.with_options(timeout=timeout).customers.get("8ea6"))
            if error is None:
                assert result.customer_id == "8ea6"
            else:
                assert (result[0], result[3]) == (error[0], [])
                assert error[1] in result[1].replace("GET /customers/{customer_id}", "…")
        assert (len(server.requests), server.connections) == (2, connections)


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
#: Servers and proxies end a 204 as other answers, or send what a script printed.
BODIES_OF_NO_CONTENT = {
    "the end of chunks": (NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
    "the end of chunks, later": (NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n", 0.01, b"0\r\n\r\n"),
    "a chunk": (NO_CONTENT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",),
    "JSON": (NO_CONTENT + b"Content-Length: 11\r\n\r\n" + b'{"data":{}}',),
    "a page": (NO_CONTENT + b"\r\n<p>Deleted</p>",),
}


@HOOKED
@pytest.mark.parametrize("pieces", BODIES_OF_NO_CONTENT.values(), ids=BODIES_OF_NO_CONTENT)
async def test_a_body_behind_a_204_is_no_failure(hooked, pieces):
    """A 204 has no body (RFC 9110, 15.3.5): each call is sent once and succeeds; its connection is not used again."""
    async with serving(*pieces) as server, new_client(server.url) as client:
        watch(client, hooked)
        for _ in range(3):
            await client.vouchers.delete("8ea6")
    assert (len(server.requests), server.connections) == (3, 3)


@HOOKED
@pytest.mark.parametrize("bound", ["read", "total"])
async def test_an_answer_that_does_not_come_ends_in_time(hooked, bound):
    """`read` bounds the silence and `total` the call; the error says which, and the next call is served."""
    hanging = [True]

    def hang_first(number, request):
        return (30.0,) if hanging else (answer(BODY),)  # a busy machine may need all the time before it sends

    timeout = Timeout(**{"read": 20, "total": 20, bound: 0.05})
    async with serving(hang_first) as server, new_client(server.url, timeout=60, max_connections=1) as client:
        watch(client, hooked)
        await client.login()
        kind, text, _, _ = await outcome(client.with_options(timeout=timeout).customers.get("8ea6"))
        assert kind == "RequestTimeoutError"
        assert ("total" in text) == (bound == "total")
        hanging.clear()
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"


@pytest.mark.parametrize("fault", ["broken", "no connection"])
async def test_what_instrumentation_sees_of_an_error_shows_neither_query_nor_token(fault, monkeypatch):
    """A broken answer, and a connection that cannot be made: the exceptions show no URL and no header."""
    caught = []
    async with serving(b"HTTP/9.9 none\r\n\r\n", b"") as server:
        url = server.url if fault == "broken" else "http://127.0.0.1:1"
        async with CareCloud(url, auth=KnownUser(), retry=RetryPolicy(attempts=1)) as client:
            send = client.http.send

            async def watched(request, **options):
                try:
                    return await send(request, **options)
                except Exception as error:
                    caught.append(error)
                    raise

            monkeypatch.setattr(client.http, "send", watched)
            with pytest.raises(CareCloudError):
                await client.customers.list(email="jane@example.com").total()
    assert [error.request.url.path for error in caught] == ["/webservice/rest-api/enterprise-interface/v1.0/customers"]
    shown = str([error.request for error in caught])
    while caught:
        link = caught.pop()
        shown += f"{link} {link!r} {link.args!r}"
        caught += [cause for cause in (link.__cause__, link.__context__) if cause is not None]
    assert "jane" not in shown
    assert "Bearer" not in shown
