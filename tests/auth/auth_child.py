"""A process of its own that calls a sandbox; started by `test_auth_processes.py`."""

from __future__ import annotations

import anyio

from carecloud_async import CareCloud, FileTokenStore, RedisTokenStore
from carecloud_async.sandbox import Sandbox


def store_of(kind, where):
    return FileTokenStore(where) if kind == "file" else RedisTokenStore(where, lock_life=1.5)


def identity(who):
    known = Sandbox(customers=5)
    return known.credentials() if who == "user" else known.customer_session(0, device_id="till-7")


async def call(pipe, url, kind, where, who):
    """Say that it is ready, wait for a word, make a few calls at once, and send what became of them."""
    store = store_of(kind, where)
    async with CareCloud(url, auth=identity(who), token_store=store) as client:
        pipe.send("ready")
        await anyio.to_thread.run_sync(pipe.recv)
        outcomes = []

        async def count():
            try:
                outcomes.append(await client.customers.list().total())
            except Exception as error:  # noqa: BLE001  (the test gets it)
                outcomes.append(type(error).__name__)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(count)
        pipe.send(outcomes)
    await store.aclose()


def run(*arguments):
    anyio.run(call, *arguments)
