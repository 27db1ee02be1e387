"""Run calls, an export and closing against a server while parts of aiohttp have other names, as after a release.

Usage: python moved_parts.py URL FILE NAME…; the names are changed throughout aiohttp's source before it is imported.
"""

import asyncio
import importlib.machinery
import importlib.util
import json
import re
import sys
from pathlib import Path

import anyio

from carecloud_async import CareCloud, ClientClosedError, NotFoundError, RetryPolicy
from carecloud_async.sandbox import Sandbox


class MovedLoader(importlib.machinery.SourceFileLoader):
    """Loads a module with some names changed throughout."""

    def __init__(self, fullname, path, moved):
        super().__init__(fullname, path)
        self.moved = moved

    def get_code(self, fullname):
        text = Path(self.path).read_text(encoding="utf-8")
        # The parser, which is written in C, has a `should_close` of its own, on messages.
        names = "|".join(map(re.escape, self.moved))
        text = re.sub(rf"(?<!message\.)(?<!\[\")\b({names})\b(?!=|: bool)", r"\1_moved", text)
        return compile(text, self.path, "exec", dont_inherit=True)


class MovedFinder:
    """Finds aiohttp's modules for `MovedLoader`."""

    def __init__(self, moved):
        self.moved = moved

    def find_spec(self, fullname, path, target=None):
        if fullname.partition(".")[0] != "aiohttp":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = MovedLoader(fullname, spec.origin, self.moved)
        return spec


async def main(url, file):
    sandbox = Sandbox(1)
    client = CareCloud(url, auth=sandbox.credentials(), rate_limit=None, retry=RetryPolicy(attempts=1))
    async with client:
        [first, *_] = [customer.customer_id async for customer in client.customers.list()]
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(client.customers.get, first)
        missing = False
        try:
            await client.customers.get("none")
        except NotFoundError:
            missing = True
        report = await client.customers.list().export(file)
    closed = False
    try:
        await client.customers.get(first)
    except ClientClosedError:
        closed = True
    found = {"missing": missing, "records": report.records, "closed": closed}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[3:]:
        sys.meta_path.insert(0, MovedFinder(sys.argv[3:]))
    asyncio.run(main(*sys.argv[1:3]))
