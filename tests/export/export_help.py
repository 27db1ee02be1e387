"""Help for the tests of exports: the records of a file."""

import json

from clocks import SlowClock


def every_page():
    """Make a clock on which each report of progress is due."""
    return SlowClock(0.2)


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ids(path):
    return [record["customer_id"] for record in records(path)]
