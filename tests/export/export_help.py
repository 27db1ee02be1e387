"""Help for the tests of exports: the records of a file, and customers that change."""

import json

from clocks import SlowClock
from lists import hexes

NAMES = hexes(2000)


def every_page():
    """Make a clock on which each report of progress is due."""
    return SlowClock(0.2)


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
