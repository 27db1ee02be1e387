"""Real processes that share a store: one login, one device token, and no sibling's death stops the others."""

import logging
import time

import auth_child
import pytest
from auth_tools import connect, make_sandbox
from child_processes import wait_until
from forked_processes import start_piped
from thorough import variants

from benchmarks.api_rules import broken_rules
from carecloud_async import RedisTokenStore, TokenStoreError

LOGINS = {"user": "POST /users/actions/login", "customer": "POST /tokens/{token_id}/actions/login"}


@pytest.fixture
def shared(request, tmp_path):
    """Kind and place of a store that all processes share."""
    if request.param == "file":
        return "file", str(tmp_path / "tokens.json")
    url = request.getfixturevalue("redis_url")
    import redis

    redis.Redis.from_url(url).flushall()
    return "redis", url


@pytest.fixture
def child():
    """Start processes that run `auth_child.py`, and give the pipe to each; what still runs at the end is killed."""
    started = []

    def start(*arguments):
        process, pipe = start_piped(auth_child.run, *arguments)
        started.append(process)
        assert pipe.recv() == "ready"
        return process, pipe

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.mark.parametrize(
    ("shared", "who"),
    [("file", "customer"), ("redis", "user"), *variants(("redis", "customer"), ("file", "user"))],
    indirect=["shared"],
)
def test_four_processes_cold_at_once_make_one_login(shared, who, child):
    """Twenty calls of four processes at the same moment: one login, one device token, no 401; so after a restart."""
    sandbox = make_sandbox(latency=0.02)
    with sandbox.running() as url:
        for number in (4, 1):
            pipes = [child(url, *shared, who)[1] for _ in range(number)]
            for pipe in pipes:
                pipe.send("go")
            expected = [5 if who == "user" else 1] * 5
            assert [pipe.recv() for pipe in pipes] == [expected] * number
    assert sandbox.count(LOGINS[who]) == 1
    assert sandbox.count("POST /tokens") == (0 if who == "user" else 1)
    assert sandbox.statuses[401] == 0
    assert not broken_rules(sandbox)


@pytest.mark.parametrize("shared", ["file", *variants("redis")], indirect=True)
def test_a_killed_holder_of_the_lock_delays_the_others_by_a_bounded_time(shared, child):
    """Kill -9 in the middle of the login: the next process logs in."""
    sandbox = make_sandbox()
    sandbox.faults.add(LOGINS["user"], delay=60, times=1)
    with sandbox.running() as url:
        (victim, its_pipe), (_, heir) = child(url, *shared, "user"), child(url, *shared, "user")
        its_pipe.send("go")
        wait_until(lambda: sandbox.logins)
        heir.send("go")
        victim.kill()
        killed = time.monotonic()
        assert heir.recv() == [5] * 5
        assert time.monotonic() - killed < 60
    assert sandbox.logins == 2


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_without_its_redis_a_device_stops_and_a_user_logs_in(caplog):
    """Redis down: TokenStoreError where a second login would kill a token, a warning where it costs a login only."""
    sandbox = make_sandbox()
    nowhere = "redis://127.0.0.1:1"
    for auth in (sandbox.device("kiosk"), sandbox.customer_session(0, "phone")):
        async with connect(sandbox, auth=auth, token_store=RedisTokenStore(nowhere)) as client:
            with pytest.raises(TokenStoreError):
                await client.login()
    assert not sandbox.requests
    async with connect(sandbox, token_store=RedisTokenStore(nowhere)) as client:
        assert await client.customers.list().total() == 5
    assert sandbox.logins == 1
    assert any("without it" in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
