"""Four workers and one Redis: logins are shared, and a stop under load loses no request that was accepted."""

import asyncio
import signal

import httpx
import pytest
from redis_servers import wait_until
from server_processes import serving
from thorough import variants

from carecloud_async.sandbox import FIRST_CUSTOMER_ID, Sandbox

WORKERS = 4
ONE_EACH = httpx.Limits(max_keepalive_connections=0)  # a new connection each: all workers get their share


@pytest.fixture
def sandbox():
    return Sandbox(customers=300, seed=1)


@pytest.fixture(params=[*variants("uvicorn"), "gunicorn"])
def workers(request, sandbox, redis_server, tmp_path):
    """Start a server with its workers; returns the process, its URL and the journal of accepted requests."""
    journal = tmp_path / "journal"
    journal.touch()
    with sandbox.running() as url:
        env = {"CARECLOUD_PROJECT_URL": url, "REDIS_URL": redis_server.url, "JOURNAL": str(journal)}
        with serving(request.param, "workers_app:create_app", workers=WORKERS, **env) as (process, base):
            yield process, base, journal


async def load(base, paths, *, at_once, journal=None, stop=None):
    """Ask for everything; returns what came of each path: the answer, or the exception."""
    results = {}
    numbers = iter(range(len(paths)))

    async def ask(http):
        for number in numbers:
            if stop is not None and number == len(paths) // 2:
                stop()
            try:
                results[number] = await http.get(paths[number])
            except httpx.TransportError as error:
                results[number] = error

    async with httpx.AsyncClient(base_url=base, limits=ONE_EACH, timeout=60) as http:
        await asyncio.gather(*(ask(http) for _ in range(at_once)))
    return results


@pytest.mark.thorough
def test_one_login_and_one_device_token_each(workers, sandbox):
    """All workers start cold at once: one login for all, one device token and one customer login per device."""
    _, base, _ = workers
    emails = []
    for index in range(1, 20):
        email = (sandbox.customers.get(sandbox.customers.id_at(index)).get("personal_information") or {}).get("email")
        if email and len(sandbox.customers.by_email(email)) == 1:
            emails.append(email)
    emails = emails[:5]
    paths = [f"/customers/{FIRST_CUSTOMER_ID}", *(f"/me?email={email}" for email in emails)] * 15
    pids, customers = set(), set()

    def answered_by_several():
        answers = asyncio.run(load(base, paths, at_once=60))
        assert {answer.status_code for answer in answers.values()} == {200}
        pids.update(answer.json()[0] for answer in answers.values())
        customers.update(answer.json()[1] for answer in answers.values())
        return len(pids) > 1

    wait_until(answered_by_several, seconds=60)  # on a busy machine, workers start long after the first one
    assert len(customers) == 1 + len(emails)
    assert sandbox.logins == 1
    assert sandbox.count("POST /tokens") == len(emails)
    assert sandbox.count("POST /tokens/{token_id}/actions/login") == len(emails)


def test_a_stop_under_load(workers, sandbox):
    """`kill -TERM` in the middle of a load: every request that reached a handler was answered with 200."""
    process, base, journal = workers
    sandbox.settings.latency = 0.1
    paths = [f"/customers/{FIRST_CUSTOMER_ID}?number={number}" for number in range(100)]
    results = asyncio.run(load(base, paths, at_once=20, stop=lambda: process.send_signal(signal.SIGTERM)))
    _, errors = process.communicate(timeout=60)
    accepted = {int(line) for line in journal.read_text().split()}
    answered = {number for number, result in results.items() if getattr(result, "status_code", None) == 200}
    assert accepted == answered
    assert len(answered) > len(paths) // 4
    refused = {type(result) for number, result in results.items() if number not in answered}
    assert refused <= {httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError}
    assert "Traceback" not in errors
