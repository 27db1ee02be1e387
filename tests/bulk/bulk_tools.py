"""Clients, rows and results for the tests of bulk writes."""

import csv
import json
import os
from collections import Counter
from contextlib import contextmanager

import kit
import pytest

from carecloud_async import CareCloudError, CustomerInput, OutcomeUnknownError, RetryPolicy
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async.bulk.claims import Claims
from carecloud_async.models import CustomerSourceInput, PersonalInformationInput
from carecloud_async.pytest_plugin.clock import FakeClock


def connect(sandbox, **settings):
    """A client of the sandbox whose time passes when it sleeps."""
    defaults = {"clock": FakeClock(), "rate_limit": None, "retry": RetryPolicy(attempts=2)}
    return kit.connect(sandbox, **{**defaults, **settings})


def people(number, **more):
    """Rows of new customers."""
    return [
        {
            "email": f"new{value}@example.com",
            "first_name": "New",
            "last_name": f"No {value}",
            "language_id": "en",
            **more,
        }
        for value in range(number)
    ]


def long(email):
    """Make an e-mail address so long that a URL holds only two of them."""
    return f"{'x' * 3000}{email}"


SOURCE = {"customer_source_id": "86e05affc7a7abefcd513ab400"}
#: The first type of cards of each sandbox.
CARD_TYPE = "8ae51e48dfe94b6575f2f7d9df"


def properties_of_texts(sandbox):
    """The ids of properties of customers whose values are texts."""
    return sandbox.records("customer-properties").find("data_type", "string")


def outcomes(path):
    """The outcome of each row in a results file."""
    return [row["outcome"] for row in read(path)]


def read(path):
    """The rows of a CSV or JSONL file."""
    with open(path, encoding="utf-8", newline="") as file:
        return [json.loads(line) for line in file] if str(path).endswith("jsonl") else list(csv.DictReader(file))


def write_jsonl(path, rows):
    """Write rows as JSON Lines, and return their path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path, rows, *, encoding="utf-8"):
    """Write rows as a CSV file with semicolons, and return its path."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


def counts(report):
    """The outcomes of a report that are not zero."""
    names = ("created", "updated", "unchanged", "refused", "conflict", "unknown")
    found = {name: getattr(report, name) for name in names if getattr(report, name)}
    assert sum(found.values()) == report.rows
    return found


async def emails(client):
    """How often each e-mail stands in the project, in lower case."""
    return Counter(
        [(customer.personal_information.email or "").lower() async for customer in client.customers.list(count=500)]
    )


@contextmanager
def claim_of_a_killed_run(client, clock):
    """The key `new0@example.com` was claimed by a run that has ended without giving it free."""
    with Claims(project=client.project.origin, clock=clock, settle_seconds=35.0) as claims:
        claims.claim(["customers\0email\0new0@example.com"])
        claims._lock.close()
        yield


async def create_with_late_write(client, sandbox):
    """Create the customer `new0@example.com`: the answer is a 504, and the record shows itself 20 seconds later."""
    sandbox.faults.add("POST /customers", status=504, late=20.0)
    person = PersonalInformationInput(email="new0@example.com", language_id="en")
    with pytest.raises(OutcomeUnknownError):
        await client.customers.create(
            CustomerInput(personal_information=person), customer_source=CustomerSourceInput(**SOURCE)
        )


def claims_of(clock, project="p"):
    """The claims of a run."""
    return Claims(project=project, clock=clock, settle_seconds=35.0)


def claim_and_wait(pipe, state, *keys):
    """Claim keys as a run of a process of its own, say which are busy, and wait to be killed.

    Args:
        pipe: where it says so.
        state: the folder of the claims.
        *keys: the keys.
    """
    os.environ["XDG_STATE_HOME"] = state
    with claims_of(SystemClock()) as claims:
        pipe.send(claims.claim(keys).busy)
        pipe.recv()


@contextmanager
def denied(sandbox, operation, *, after=0):
    """A block that ends with an error, since an operation is denied from some call on; afterwards it is not."""
    fault = sandbox.faults.add(operation, status=403, times=None, after=after)
    with pytest.raises(CareCloudError):
        yield
    sandbox.faults.remove(fault)


class StopError(Exception):
    """The run is stopped."""


def stop_while_it_waits(progress):
    """Stop a run when it waits for lost answers to settle."""
    if progress.waits_for:
        raise StopError


class UptimeClock(FakeClock):
    """A clock whose monotonic time is ahead by the seconds since its machine was started.

    Attributes:
        uptime: these seconds.
    """

    def __init__(self, uptime):
        super().__init__()
        self.uptime = uptime

    def monotonic(self):
        return super().monotonic() + self.uptime


async def customer_with_cards(client, *numbers, **more):
    """Make a customer with some cards; return the row that made it."""
    (row,) = people(1, **more)
    for number in numbers:
        card = {"card_number": number, "card_type_id": CARD_TYPE}
        await client.customers.bulk_write([{**row, **card}], match="email", defaults=SOURCE)
    return row


STORE, OTHER_STORE = "81eaeea13b8984a169c490a325", "81eaeea13b8984a169c490a326"
ITEM = {
    "plu_ids": [{"list_code": "GLOBAL", "code": "e345"}],
    "plu_name": "Teapot",
    "vat_rate": 21,
    "quantity": 1,
    "paid_amount": 50,
    "price": 50,
    "bill_item_id": "1",
    "loyalty_off": False,
    "purchase_item_type_id": "86e05affc7a7abefcd513ab400",
}
#: What all bills of a file have.
BILL_DEFAULTS = {
    "store_id": STORE,
    "cashdesk_number": 1,
    "purchase_type_id": "86e05affc7a7abefcd513ab400",
    "payment_type": "S",
    "canceled": False,
    "currency_id": "8bed991c68a470e7aaeffbf048",
}


def bill(number, *, items=1, **more):
    """A row of a bill with items."""
    return {
        "external_purchase_id": f"B{number}",
        "payment_time": "2026-03-08 10:00:00",
        "total_price": 50 * items,
        "bill_items": [{**ITEM, "bill_item_id": f"{value}"} for value in range(items)],
        **more,
    }
