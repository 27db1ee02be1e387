"""Browsers that hang up: the call upstream ends, nothing leaks, and writes are not cut in two."""

import asyncio
import socket

import anyio
import httpx
import pytest
from child_processes import wait_until
from fastapi import FastAPI
from thorough import is_thorough

from carecloud_async import CareCloud
from carecloud_async.fastapi import CareCloudDep, carecloud_lifespan, install_error_handlers
from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

pytestmark = pytest.mark.anyio
BROWSERS = 100
WAVES = 5 if is_thorough() else 1


@pytest.fixture
def noted():
    return []


@pytest.fixture
def app(sandbox, noted):
    upstream = sandbox.running()
    url = upstream.__enter__()
    app = FastAPI(lifespan=carecloud_lifespan(lambda: CareCloud(url, auth=sandbox.credentials(), rate_limit=None)))
    install_error_handlers(app)

    @app.get("/customers/{customer_id}")
    async def show(customer_id: str, carecloud: CareCloudDep) -> str | None:
        return (await carecloud.customers.get(customer_id)).customer_id

    @app.post("/write")
    async def write(carecloud: CareCloudDep) -> None:
        await carecloud.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "Jane"}})
        noted.append("written")

    @app.get("/tasks")
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    yield app
    upstream.__exit__(None, None, None)


def ask(address, target, method="GET"):
    sock = socket.create_connection(address)
    sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n".encode())
    return sock


def hang_up_in_the_middle(address, sandbox, browsers):
    """Let that many browsers ask, and hang up when calls are under way upstream and others wait for a connection."""
    sandbox.forget_requests()
    socks = [ask(address, f"/customers/{FIRST_CUSTOMER_ID}") for _ in range(browsers)]
    wait_until(lambda: sandbox.count("GET /customers/{customer_id}") == 20)
    for sock in socks:
        sock.close()


def test_five_hundred_browsers_hang_up(sandbox, app, serve):
    """The next five hundred are served at once; no task or connection remains, and no login is lost."""
    with serve(app) as address:
        base = "http://{}:{}".format(*address)
        target = f"/customers/{FIRST_CUSTOMER_ID}"
        httpx.get(base + target, timeout=60).raise_for_status()
        before = httpx.get(base + "/tasks", timeout=60).json()
        # A call that is served before its end is noticed would leave a connection that is at rest, which is no leak.
        sandbox.latency = 600
        for _ in range(WAVES):
            hang_up_in_the_middle(address, sandbox, BROWSERS)
            wait_until(lambda: httpx.get(base + "/tasks", timeout=60).json() <= before + 1)
            wait_until(lambda: sandbox.connections.now == 0)
        sandbox.latency = 0

        async def all_clients():
            async with httpx.AsyncClient(base_url=base, timeout=60) as http:
                turns = iter(range(BROWSERS * WAVES))

                async def ask_in_turn():
                    return [await http.get(target) for _ in turns]

                lists = await asyncio.gather(*(ask_in_turn() for _ in range(40)))
                return [answer for answers in lists for answer in answers]

        sandbox.connections.most = 0  # while calls were cancelled, the server saw their ends later than the client
        answers = asyncio.run(all_clients())
        assert {answer.status_code for answer in answers} == {200}
        assert len(answers) == BROWSERS * WAVES
        assert sandbox.logins == 0  # the first request's login is forgotten by the counts, and was enough
        assert sandbox.connections.most <= 20
        wait_until(lambda: httpx.get(base + "/tasks", timeout=60).json() <= before + 1)


def test_a_write_runs_to_its_end(sandbox, app, serve, noted):
    """A browser that hangs up during a POST stops neither the write nor what the handler does after it."""
    with serve(app) as address:
        sandbox.latency = 0.05
        sock = ask(address, "/write", "POST")
        wait_until(lambda: sandbox.count() >= 1)
        sock.close()
        wait_until(lambda: noted == ["written"])
    assert sandbox.customers.get(FIRST_CUSTOMER_ID)["personal_information"]["first_name"] == "Jane"


async def test_answer_to_a_browser_that_is_gone(make, enter):
    """The cancelled handler is answered with 499, for logs and metrics."""
    sandbox = Sandbox(customers=1, latency=30)
    app = FastAPI(lifespan=carecloud_lifespan(lambda: make(transport=sandbox.transport())))

    @app.get("/")
    async def ping(carecloud: CareCloudDep) -> None:
        await carecloud.ping()

    sent, gone, under_way = [], anyio.Event(), anyio.Event()
    sandbox.on_request = lambda request: under_way.set()
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "app": app}
    async with enter(app), anyio.create_task_group() as group:
        group.start_soon(app, scope, receive, send)
        with anyio.fail_after(60):
            await under_way.wait()
        gone.set()
    assert sent[0]["status"] == 499
    assert sandbox.in_flight == 0


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_a_browser_that_hung_up_before_its_turn(make, version):
    """A disconnect that is the first message of a request is a 499, and no failure of the application."""
    app, sent = FastAPI(), []
    app.state.carecloud_default = make()

    @app.get("/")
    async def show(carecloud: CareCloudDep) -> None: ...

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asgi = {"version": "3.0", "spec_version": version}
    scope = {"type": "http", "asgi": asgi, "method": "GET", "path": "/", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 499
