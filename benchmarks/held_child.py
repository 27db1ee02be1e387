"""A program of `benchmarks.held`: five kinds of writes, by an outbox or in bulk. It prints what it was told.

`python -m benchmarks.held_child PORT outbox|bulk NUMBER FOLDER SETTLE`. Its read timeout is a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.sale import bill
from carecloud_async import CareCloud, CustomerInput, EnterpriseCredentials, Timeout
from carecloud_async.models import CustomerSourceInput, EventInput, PersonalInformationInput

STORE = "8bc1ea2ea78f1ee0f5a8ff4f70"
SOURCE = {"customer_source_id": "86e05affc7a7abefcd513ab400"}
_ITEM = {
    "bill_item_id": "1", "plu_ids": [], "plu_name": "Bread", "vat_rate": 21.0, "quantity": 1.0, "paid_amount": 10.0,
    "price": 10.0, "loyalty_off": False, "purchase_item_type_id": "t",
}  # fmt: skip
_BILL = {
    "store_id": STORE, "cashdesk_number": 1, "purchase_type_id": "p", "payment_type": "S", "canceled": False,
    "currency_id": "czk", "payment_time": "2026-03-02 10:00:00", "total_price": 10.0, "bill_items": [_ITEM],
}  # fmt: skip


def client_of(port: int) -> CareCloud:
    """A client of the server."""
    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login="held", password="p")
    return CareCloud(f"http://127.0.0.1:{port}", auth=auth, rate_limit=None, timeout=Timeout(connect=1, read=1))


async def by_outbox(client: CareCloud, number: int, folder: Path, settle: float) -> dict[str, Any]:
    """Put the writes, and wait until nothing waits."""
    async with client.outbox(folder / "outbox.db", settle=settle) as outbox:
        for index in range(number):
            person = PersonalInformationInput(email=f"o{index}@example.com", language_id="en")
            source, customer = CustomerSourceInput(**SOURCE), f"o{index}"
            await outbox.put(
                client.customers.create, CustomerInput(personal_information=person), customer_source=source
            )
            await outbox.put(client.points.assign_points, customer_id=f"p{customer}", amount=5.0, reference=customer)
            credit = {"customer_id": f"c{customer}", "amount": 5.0, "partner_id": "p", "currency_id": "czk"}
            await outbox.put(client.credits.deposit_credits, **credit, reference=customer)
            place = {"store_id": STORE, "cashdesk_number": 1, "customer_id": f"b{customer}"}
            await outbox.put(client.purchases.send_purchase, bill(customer), **place)
            event = EventInput(event_type_id="t", external_id=customer, customer_id=f"e{customer}")
            await outbox.put(client.events.create, event)
        is_sent = await outbox.flush()
        failures = await outbox.failures()
        told = Counter(f"{entry.label.split()[0]} {entry.outcome}" for entry in failures)
        return {
            "flush": is_sent,
            "failed": told,
            "reasons": [*{entry.reasons[0].partition(":")[0] for entry in failures}],
        }


async def in_bulk(client: CareCloud, number: int, settle: float) -> dict[str, Any]:
    """Write the rows of all kinds at the same time."""
    names = [f"r{index}" for index in range(number)]
    works: dict[str, tuple[Any, str, list[dict[str, Any]]]] = {
        "customers": (
            client.customers,
            "email",
            [{"email": f"{name}@example.com", "language_id": "en"} for name in names],
        ),
        "points": (
            client.points,
            "reference",
            [{"customer_id": f"p{name}", "reference": name, "amount": 5} for name in names],
        ),
        "credits": (
            client.credits,
            "reference",
            [{"customer_id": f"c{name}", "reference": name, "amount": 5, "partner_id": "p"} for name in names],
        ),
        "purchases": (
            client.purchases,
            "external_purchase_id",
            [{**_BILL, "external_purchase_id": name} for name in names],
        ),
        "events": (client.events, "external_id", [{"event_type_id": "t", "external_id": name} for name in names]),
    }

    async def write(family: Any, match: str, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        report = await family.bulk_write(rows, match=match, settle=settle, **more)
        counted = ("created", "updated", "unchanged", "refused", "conflict", "unknown")
        counts = {name: getattr(report, name) for name in counted if getattr(report, name)}
        return {**counts, **({"reasons": [*report.reasons]} if report.reasons else {})}

    reports = await asyncio.gather(
        *(
            write(family, match, rows, **({"defaults": SOURCE} if name == "customers" else {}))
            for name, (family, match, rows) in works.items()
        )
    )
    return dict(zip(works, reports, strict=True))


async def main(port: str, what: str, number: str, folder: str, settle: str) -> None:
    """Do the work, and print what it was told, and when it ended."""
    async with client_of(int(port)) as client:
        if what == "outbox":
            told = await by_outbox(client, int(number), Path(folder), float(settle))
        else:
            told = await in_bulk(client, int(number), float(settle))
    print(json.dumps({"told": told, "ended": time.monotonic()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
