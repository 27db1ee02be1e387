"""The servers that run ASGI applications: listings as streams, and browsers that hang up, are the same under each."""

import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from child_processes import wait_until
from server_processes import COMMANDS, serving
from thorough import variants

from carecloud_async.sandbox import Sandbox

CUSTOMERS = 300
OTHERS = sorted({*COMMANDS} - {"uvicorn"})
STREAMS = [("GET", "/export"), ("POST", "/export"), ("GET", "/export_without_dependency"), ("GET", "/pieces")]


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox(customers=CUSTOMERS, seed=1)


@pytest.fixture(scope="module", params=["uvicorn", *variants(*OTHERS)])
def base(request, sandbox):
    """The address of the application under one of the servers."""
    app = "servers_app:create_app"
    with sandbox.running() as url, serving(request.param, app, CARECLOUD_PROJECT_URL=url) as (_, base):
        yield base


@pytest.fixture(autouse=True)
def _calm(sandbox):
    yield
    sandbox.latency = 0
    sandbox.faults.clear()


def ids_of(sandbox):
    return [sandbox.customers.id_at(number) for number in range(CUSTOMERS)]


def test_listings_are_streamed_whole(base, sandbox):
    """A listing as NDJSON arrives whole, in routes of any kind, several times over one connection."""
    with httpx.Client(base_url=base) as http:
        for method, path in STREAMS[:-1] * 2:
            answer = http.request(method, path)
            assert answer.status_code == 200, (method, path, answer.text)
            assert [json.loads(line)["customer_id"] for line in answer.text.strip("\n").split("\n")] == ids_of(sandbox)
            assert http.get("/first").status_code == 200
        assert http.get("/pieces").text.count('{"customer_id"') == CUSTOMERS
    assert httpx.get(f"{base}/left").json() == 0


def ask(base, method, path):
    address = urlsplit(base)
    sock = socket.create_connection((address.hostname, address.port))
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n".encode())
    return sock


@pytest.mark.parametrize(("method", "path"), [*STREAMS[:-1], ("GET", "/first")])
def test_a_hang_up_before_the_answer_ends_the_call(base, sandbox, method, path):
    """A browser that hangs up before anything was sent ends the call upstream, and the next one is served."""
    httpx.get(f"{base}/first").raise_for_status()
    sandbox.latency = 600
    sandbox.forget_requests()
    sock = ask(base, method, path)
    wait_until(lambda: sandbox.count("GET /customers") == 1)
    sock.close()
    wait_until(lambda: sandbox.connections.now == 0)
    sandbox.latency = 0
    httpx.get(f"{base}/first").raise_for_status()


@pytest.mark.parametrize(("method", "path"), STREAMS)
def test_a_hang_up_ends_a_stream(base, sandbox, method, path):
    """A browser that hangs up between pages ends the listing; no task of it remains."""
    sandbox.latency = 0.3
    sandbox.forget_requests()
    sock = ask(base, method, path)
    wait_until(lambda: sandbox.count("GET /customers") == 2)
    assert httpx.get(f"{base}/left").json() > 0
    sock.close()
    wait_until(lambda: httpx.get(f"{base}/left").json() == 0)
    assert sandbox.count("GET /customers") < CUSTOMERS / 10
