"""Two workers: a stop under load loses no request that was accepted."""

import asyncio
import signal

import httpx
import pytest
from server_processes import serving
from thorough import variants

from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

WORKERS = 2
ONE_EACH = httpx.Limits(max_keepalive_connections=0)  # a new connection each: all workers get their share


@pytest.fixture
def sandbox():
    return Sandbox(customers=300, seed=1)


@pytest.fixture(params=[*variants("uvicorn"), "gunicorn"])
def workers(request, sandbox, tmp_path):
    """Start a server with its workers; returns the process, its URL and the journal of accepted requests."""
    journal = tmp_path / "journal"
    journal.touch()
    with sandbox.running() as url:
        env = {"CARECLOUD_PROJECT_URL": url, "JOURNAL": str(journal)}
        with serving(request.param, "workers_app:create_app", workers=WORKERS, **env) as (process, base):
            yield process, base, journal


async def load(base, paths, *, at_once, stop):
    """Ask for everything, and stop half-way; returns what came of each path: the answer, or the exception."""
    results = {}
    numbers = iter(range(len(paths)))

    async def ask(http):
        for number in numbers:
            if number == len(paths) // 2:
                stop()
            try:
                results[number] = await http.get(paths[number])
            except httpx.TransportError as error:
                results[number] = error

    async with httpx.AsyncClient(base_url=base, limits=ONE_EACH, timeout=60) as http:
        await asyncio.gather(*(ask(http) for _ in range(at_once)))
    return results


def test_a_stop_under_load(workers, sandbox):
    """`kill -TERM` in the middle of a load: every request that reached a handler was answered with 200."""
    process, base, journal = workers
    sandbox.latency = 0.1
    paths = [f"/customers/{FIRST_CUSTOMER_ID}?number={number}" for number in range(60)]
    results = asyncio.run(load(base, paths, at_once=20, stop=lambda: process.send_signal(signal.SIGTERM)))
    _, errors = process.communicate(timeout=60)
    accepted = {int(line) for line in journal.read_text().split()}
    answered = {number for number, result in results.items() if getattr(result, "status_code", None) == 200}
    assert accepted == answered
    assert len(answered) > len(paths) // 4
    refused = {type(result) for number, result in results.items() if number not in answered}
    assert refused <= {httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError}
    assert "Traceback" not in errors
