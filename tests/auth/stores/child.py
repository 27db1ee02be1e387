"""A process of its own that uses a store; the tests say by which arguments."""

from __future__ import annotations

import sys

import anyio

from carecloud_async import FileTokenStore, RedisTokenStore, StoredToken


def make(kind, where):
    if kind == "file":
        return FileTokenStore(where)
    return RedisTokenStore(where, prefix="child:", lock_life=60)


def say(word):
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def hold(kind, where):
    """Hold the lock until killed."""
    store = make(kind, where)
    async with store.lock("key"):
        say("held")
        await anyio.sleep_forever()


async def count(kind, where):
    """Save numbers in turns under three keys until killed; say each one that is saved."""
    store = make(kind, where)
    number = 0
    while True:
        number += 1
        await store.save(f"key{number % 3}", StoredToken(value=f"{number}:" + "x" * 5000, keep_for=600))
        say(str(number))


if __name__ == "__main__":
    backend, command, *arguments = sys.argv[1:]
    anyio.run({"hold": hold, "count": count}[command], *arguments, backend=backend)
