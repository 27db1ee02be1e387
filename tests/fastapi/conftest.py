"""What the tests of the FastAPI part share: an application over the sandbox, called in process."""

import socket
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx
import pytest
import uvicorn
from redis_servers import own_redis_server, redis_server  # noqa: F401  (fixtures)

from carecloud_async import CareCloud, RetryPolicy
from carecloud_async.sandbox import Sandbox

ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def sandbox():
    return Sandbox(customers=300, seed=1)


@pytest.fixture
def make(sandbox):
    """A factory of clients of the sandbox; they do not repeat what fails."""

    def make(auth=None, **options):
        options = {"transport": sandbox.transport(), "retry": ONCE} | options
        return CareCloud("sandbox.crmcarecloud.com", auth=auth or sandbox.credentials(), **options)

    return make


@asynccontextmanager
async def entered(app):
    """Run the application's lifespan as a server would, and call it in process."""
    state, to_app, from_app = {}, [{"type": "lifespan.startup"}], []
    stopping, started, done = anyio.Event(), anyio.Event(), anyio.Event()

    async def receive():
        if to_app:
            return to_app.pop()
        await stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message):
        from_app.append(message["type"])
        started.set()

    async def live():
        try:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state, "app": app}, receive, send)
        finally:
            started.set()
            done.set()

    async def with_state(scope, receive, send):
        await app(scope | {"state": dict(state)}, receive, send)

    async with anyio.create_task_group() as group:
        group.start_soon(live)
        await started.wait()
        if from_app == ["lifespan.startup.complete"]:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://app") as http:
                yield http
        stopping.set()
        await done.wait()


@pytest.fixture
def enter():
    return entered


@contextmanager
def served(app):
    """Serve an application with uvicorn on a socket of this machine, from a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield listener.getsockname()
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


@pytest.fixture
def serve():
    return served
