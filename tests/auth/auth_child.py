"""A process of its own that calls a sandbox; see `test_auth_processes.py` for its arguments."""

from __future__ import annotations

import json
import sys

import anyio

from carecloud_async import CareCloud, FileTokenStore, RedisTokenStore
from carecloud_async.sandbox import Sandbox


def say(word):
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def store_of(kind, where):
    return FileTokenStore(where) if kind == "file" else RedisTokenStore(where, lock_life=1.5)


def identity(who):
    known = Sandbox(customers=5)
    return known.credentials() if who == "user" else known.customer_session(0, device_id="till-7")


async def call(url, kind, where, who):
    """Wait for a line, then make a few calls at once; print what became of them."""
    store = store_of(kind, where)
    async with CareCloud(url, auth=identity(who), token_store=store) as client:
        say("ready")
        await anyio.to_thread.run_sync(sys.stdin.readline)
        outcomes = []

        async def count():
            try:
                outcomes.append(await client.customers.list().total())
            except Exception as error:  # noqa: BLE001  (the test gets it)
                outcomes.append(type(error).__name__)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(count)
        say(json.dumps(outcomes))
    await store.aclose()


if __name__ == "__main__":
    anyio.run(call, *sys.argv[1:])
