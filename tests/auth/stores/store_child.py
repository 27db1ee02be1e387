"""A process of its own that saves tokens in files."""

from __future__ import annotations

import anyio

from carecloud_async import FileTokenStore, StoredToken


async def count(pipe, path):
    """Save numbers in turns under three keys until killed; send each one that is saved."""
    store = FileTokenStore(path)
    number = 0
    while True:
        number += 1
        await store.save(f"key{number % 3}", StoredToken(value=f"{number}:" + "x" * 5000, keep_for=600))
        pipe.send(number)


def run(*arguments):
    anyio.run(count, *arguments)
