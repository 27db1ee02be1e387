"""A process of its own that saves tokens in files."""

from __future__ import annotations

import sys

import anyio

from carecloud_async import FileTokenStore, StoredToken


def say(word):
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def count(path):
    """Save numbers in turns under three keys until killed; say each one that is saved."""
    store = FileTokenStore(path)
    number = 0
    while True:
        number += 1
        await store.save(f"key{number % 3}", StoredToken(value=f"{number}:" + "x" * 5000, keep_for=600))
        say(str(number))


if __name__ == "__main__":
    anyio.run(count, *sys.argv[1:])
