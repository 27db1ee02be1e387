"""Help for the tests of exports: the records of a file, and customers that change."""

import json

import anyio
from clocks import SlowClock
from kit import connect
from lists import hexes

from carecloud_async import CareCloud
from carecloud_async.sandbox import Sandbox

NAMES = hexes(2000)


def export_from(url, target):
    """Export customers from a sandbox at a URL and go on with what is there: for a process of its own, to be killed."""

    async def export():
        async with CareCloud(url, auth=Sandbox(customers=0).credentials()) as client:
            await client.customers.list(count=100).export(target, resume=True)

    anyio.run(export)


def every_page():
    """Make a clock on which each report of progress is due."""
    return SlowClock(0.2)


async def export(sandbox, path, *, count=50, client=(), **options):
    """Export the customers of a sandbox by a client of its own, with its settings."""
    async with connect(sandbox, **dict(client)) as connected:
        return await connected.customers.list(count=count).export(path, **options)


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ids(path):
    return [record["customer_id"] for record in records(path)]


def change(sandbox, indexes, moment=None):
    changed = [sandbox.customers.id_at(index) for index in indexes]
    for customer_id in changed:
        more = {} if moment is None else {"last_change": moment}
        sandbox.customers.update(customer_id, {"state": 0, **more})
    return changed


def timeless(sandbox):
    """Return the customers whose `last_change` is null: they may have changed at any time."""
    customers = map(sandbox.customers.get, sandbox.customers.ids())
    return [customer["customer_id"] for customer in customers if customer["last_change"] is None]
