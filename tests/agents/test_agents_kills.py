"""An assistant whose server is killed and whose answers are lost, and that calls its tools again."""

import asyncio
import json
import os
import random
import sys
from contextlib import suppress

import kit
import pytest
from clocks import FastClock

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from mcp import Client, MCPError, StdioServerParameters

from carecloud_async import CareCloud
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

pytestmark = pytest.mark.thorough

SERVER = """
import os, sys, anyio
from pathlib import Path
from carecloud_async import CareCloud
from carecloud_async.agents import make_server

Path(sys.argv[1], "pid").write_text(str(os.getpid()))
anyio.run(make_server(CareCloud.from_env, allow=["points"], folder=sys.argv[1], wait=0.5).run_stdio_async)
"""


@pytest.mark.asyncio
async def test_tool_calls_are_retried(tmp_path, monkeypatch):
    """Plans are made and committed again after kills and lost answers: each is made once, and none that failed is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    chance, sandbox = random.Random(1), Sandbox(customers=5, seed=1)
    async with kit.connect(sandbox) as client:
        customers = [customer.customer_id async for customer in client.customers.list()]
    wanted = {
        f"sale-{number}": {"customer_id": chance.choice(customers), "amount": chance.randint(1, 9)}
        for number in range(40)
    }
    failed, committed = set(), set()

    def kill():
        with suppress(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 9)

    async def call_tools(assistant):
        """Plan and commit twenty times, the last time while the server is killed."""
        for number in range(20):
            reference = chance.choice([*wanted])
            plan = await assistant.call_tool("plan_points", {**wanted[reference], "reference": reference})
            assert not plan.is_error, plan.content[0].text
            if chance.random() < 0.3:
                lost = chance.choice([{"cut": "after"}, {"cut": "before"}, {"status": 500}])
                sandbox.faults.add("POST /points/actions/assign-points", **lost)
            if number == 19:
                asyncio.get_running_loop().call_later(chance.random() / 20, kill)
            for _ in range(chance.randint(1, 3)):
                committed.add(reference)
                done = await assistant.call_tool("commit", {"plan": json.loads(plan.content[0].text)["plan"]})
                assert not done.is_error, done.content[0].text
                if json.loads(done.content[0].text)["state"] == "failed":
                    failed.add(reference)

    with sandbox.running() as url:
        user = {"PROJECT_URL": url, "EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID, "LOGIN": USER_LOGIN}
        user = {f"CARECLOUD_{name}": value for name, value in {**user, "PASSWORD": USER_PASSWORD}.items()}
        server = StdioServerParameters(
            command=sys.executable, args=["-c", SERVER, str(tmp_path)], env={**os.environ, **user}
        )
        for _ in range(4):
            with suppress(MCPError, ExceptionGroup):
                async with Client(server) as assistant:
                    await call_tools(assistant)
        sandbox.faults.clear()
        async with (
            CareCloud(url, auth=sandbox.credentials(), clock=FastClock()) as client,
            client.outbox(tmp_path / "outbox.db", wait=30) as outbox,
        ):
            await outbox.flush(timeout=4 * 3600)
            assert outbox.waiting == 0
    made = await kit.references(sandbox)
    assert set(made.values()) == {1}
    assert (failed & made.keys(), committed - failed - made.keys()) == (set(), set())
    assert len(made) > 20
