"""A process of its own that uses a store; the tests say by which arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

from carecloud_async import FileTokenStore, RedisTokenStore, StoredToken


def make(kind, where):
    if kind == "file":
        return FileTokenStore(where)
    return RedisTokenStore(where, prefix="child:", lock_life=60)


def say(word):
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def count_login(logins):
    with Path(logins).open("a") as file:
        file.write(f"{os.getpid()}\n")


async def race(kind, where, logins):
    """Log in (a line in `logins`) if no other process has; print the token."""
    store = make(kind, where)
    say("ready")
    sys.stdin.readline()
    async with store.lock("key"):
        token = await store.load("key")
        if token is None:
            count_login(logins)
            await anyio.sleep(0.2)  # a login takes its time: everyone else arrives meanwhile
            token = StoredToken(value=f"token-{os.getpid()}", expires_in=60)
            await store.save("key", token)
    say(token.value)
    await store.aclose()


async def hold(kind, where):
    """Hold the lock until killed."""
    store = make(kind, where)
    async with store.lock("key"):
        say("held")
        await anyio.sleep_forever()


async def write(kind, where):
    """Write records until killed."""
    store = make(kind, where)
    await store.save("key", StoredToken(value="x" * 20_000, expires_in=600))
    say("writing")
    number = 0
    while True:
        number += 1
        await store.save(f"key{number % 7}", StoredToken(value=str(number) * 5000, expires_in=600))


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
    anyio.run({"race": race, "hold": hold, "write": write, "count": count}[command], *arguments, backend=backend)
