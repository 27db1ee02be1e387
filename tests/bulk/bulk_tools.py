"""Clients, rows and results for the tests of bulk writes."""

import csv
import json
from collections import Counter

from carecloud_async import CareCloud, RetryPolicy
from carecloud_async.pytest_plugin.clock import FakeClock


def connect(sandbox, **settings):
    """A client of the sandbox whose time passes when it sleeps."""
    settings = {"clock": FakeClock(), "rate_limit": None, "retry": RetryPolicy(attempts=2), **settings}
    return CareCloud("sandbox.crmcarecloud.com", auth=sandbox.credentials(), transport=sandbox.transport(), **settings)


def people(number, **more):
    """Rows of new customers."""
    return [
        {"email": f"new{one}@example.com", "first_name": "New", "last_name": f"No {one}", "language_id": "en", **more}
        for one in range(number)
    ]


SOURCE = {"customer_source_id": "8fdd651ff3f615bcebebad87ce"}


def outcomes(path):
    """The outcome of each row in a results file."""
    return [row["outcome"] for row in read(path)]


def read(path):
    """The rows of a CSV or JSONL file."""
    with open(path, encoding="utf-8", newline="") as file:
        return [json.loads(line) for line in file] if str(path).endswith("jsonl") else list(csv.DictReader(file))


def counts(report):
    """The outcomes of a report that are not zero."""
    names = ("created", "updated", "unchanged", "refused", "conflict", "unknown")
    found = {name: getattr(report, name) for name in names if getattr(report, name)}
    assert sum(found.values()) == report.rows
    return found


async def emails(client):
    """How often each e-mail stands in the project, in lower case."""
    return Counter([(one.personal_information.email or "").lower() async for one in client.customers.list(count=500)])
