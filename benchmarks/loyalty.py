"""`python -m benchmarks.loyalty`: bills with items and points in bulk against a script by hand; a large comparison.

The script is asyncio and httpx with twenty workers: for each row the same look-up, and the POST if nothing was found.
It keeps no journal and makes doubles when an answer is lost. Printed are rows a second, requests a row and the peak of
the memory; then a comparison of a list with a file of as many rows beside an export of the list.
"""

import argparse
import asyncio
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from benchmarks.bulk import serving as serving_customers
from benchmarks.bulk_server import Connection
from benchmarks.records import BASE_PATH, person

WORKERS = 20
ITEMS = 3
TYPE = "86e05affc7a7abefcd513ab400"
STORE = {"store_id": "81eaeea13b8984a169c490a325", "cashdesk_number": 1}
FIXED = {"purchase_type_id": TYPE, "payment_type": "S", "canceled": False, "currency_id": "8bed991c68a470e7aaeffbf048"}


def bill(number: int) -> dict[str, object]:
    """Return a row of a bill with three items."""
    items = [
        {
            "plu_ids": [{"list_code": "GLOBAL", "code": f"e{item}"}],
            "plu_name": f"Thing {item}",
            "vat_rate": 21,
            "quantity": 1,
            "paid_amount": 50,
            "price": 50,
            "bill_item_id": str(item),
            "loyalty_off": False,
            "purchase_item_type_id": TYPE,
        }
        for item in range(ITEMS)
    ]
    paid = {"payment_time": "2026-03-08 10:00:00", "total_price": 50 * ITEMS}
    return {"external_purchase_id": f"B{number}", "customer_id": customer(number), **paid, "bill_items": items}


def points(number: int) -> dict[str, object]:
    """Return a row of points; a customer has ten."""
    return {"customer_id": customer(number // 10), "reference": f"B{number}", "amount": 10}


def customer(number: int) -> str:
    """Return the id of a customer."""
    return f"8ea6abece4cd0a4ded{number:08x}"


class Loyalty:
    """Purchases by their ids, and operations on points by customer and note."""

    def __init__(self) -> None:
        self._purchases: dict[str, dict[str, object]] = {}
        self._points: dict[str, list[dict[str, object]]] = {}
        self.requests: Counter[str] = Counter()

    def answer(self, verb: str, target: str, body: bytes) -> tuple[int, object]:
        """Return the status and the data of an answer."""
        path, _, query = target.removeprefix(BASE_PATH).partition("?")
        if path == "/requests":
            return 200, self.requests
        self.requests[f"{verb} {path}"] += 1
        wanted = {name: values[0] for name, values in parse_qs(query).items()}
        if path == "/users/actions/login":
            end = datetime.now(ZoneInfo("Europe/Prague")) + timedelta(hours=7)
            return 200, {"bearer_token": "token", "valid_to": f"{end:%Y-%m-%d %H:%M:%S}", "user": {"user_id": "u"}}
        if path == "/purchases":
            purchase = self._purchases.get(wanted.get("external_purchase_id", ""))
            records = [] if purchase is None else [purchase]
            return 200, {"purchases": records, "total_items": len(records)}
        if path == "/point-history":
            history = self._points.get(wanted["customer_id"], [])
            records = [
                record for record in history if wanted["point_operation_note"] in str(record["point_operation_note"])
            ]
            return 200, {"point_history": records, "total_items": len(records)}
        sent = json.loads(body)
        if path == "/purchases/actions/send-purchase":
            number, record = len(self._purchases), sent["bill"]
            shown = {name: record[name] for name in ("payment_time", "total_price", "currency_id")}
            made = {"purchase_id": f"{number:026x}", "external_purchase_id": record["bill_id"], **shown}
            self._purchases[record["bill_id"]] = {**made, "customer_id": sent["customer_id"], **STORE}
            return 201, {"purchase_id": made["purchase_id"]}
        note = {"point_amount": sent["amount"], "point_operation_note": sent["note"]}
        self._points.setdefault(sent["customer_id"], []).append({"customer_id": sent["customer_id"], **note})
        return 201, {"point_id": f"{len(self._points):026x}"}


async def _serve(latency: float) -> None:
    loop, project = asyncio.get_running_loop(), Loyalty()
    server = await loop.create_server(lambda: Connection(project, latency=latency), "127.0.0.1", 0, backlog=2048)  # type: ignore[arg-type]
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def serving(latency: float = 0.0) -> Iterator[str]:
    """Run a server; the value is its URL."""
    command = [sys.executable, "-m", "benchmarks.loyalty", "--serve", "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.communicate()


async def by_script(url: str, number: int, kind: str) -> dict[str, object]:
    """Write rows as a hand-written script does."""
    import httpx

    async with httpx.AsyncClient(base_url=f"{url}{BASE_PATH}", limits=httpx.Limits(max_connections=WORKERS)) as client:
        waiting = iter(range(number))

        async def send_bill(row: dict[str, Any]) -> None:
            params = {"external_purchase_id": row["external_purchase_id"]}
            if not (await client.get("/purchases", params=params)).json()["data"]["total_items"]:
                sent = {name: row[name] for name in ("payment_time", "total_price", "bill_items")}
                body = {**STORE, "customer_id": row["customer_id"], "bill": {"bill_id": row["external_purchase_id"]}}
                body["bill"] |= {**sent, **FIXED}
                (await client.post("/purchases/actions/send-purchase", json=body)).raise_for_status()

        async def send_points(row: dict[str, Any]) -> None:
            note = f"[ref: {row['reference']}]"
            params = {"customer_id": row["customer_id"], "point_operation_note": note}
            if not (await client.get("/point-history", params=params)).json()["data"]["total_items"]:
                body = {"customer_id": row["customer_id"], "amount": row["amount"], "note": note}
                (await client.post("/points/actions/assign-points", json=body)).raise_for_status()

        async def work() -> None:
            for number in waiting:
                await (send_bill(bill(number)) if kind == "bills" else send_points(points(number)))

        began = time.monotonic()
        await asyncio.gather(*(work() for _ in range(WORKERS)))
    return _figures(time.monotonic() - began, number, 2 * number)


async def by_sdk(url: str, number: int, kind: str) -> dict[str, object]:
    """Write rows by `bulk_write`."""
    async with _client(url) as client:
        family, make = (client.purchases, bill) if kind == "bills" else (client.points, points)
        match, defaults = ("external_purchase_id", {**STORE, **FIXED}) if kind == "bills" else ("reference", {})
        began = time.monotonic()
        report = await family.bulk_write((make(index) for index in range(number)), match=match, defaults=defaults)
        seconds = time.monotonic() - began
    assert report.created + report.unchanged == number, report
    return {**_figures(seconds, number, report.requests), "created": report.created}


async def compare(url: str, number: int, kind: str) -> dict[str, object]:
    """Compare a list with a file of as many rows, or export it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.csv"
        if kind == "compare":
            with source.open("w", newline="") as file:
                writer = csv.DictWriter(file, [*person(0)])
                writer.writeheader()
                writer.writerows(person(index) for index in range(number))
        async with _client(url) as client:
            began = time.monotonic()
            if kind == "export":
                report: Any = await client.customers.list().export(Path(folder) / "customers.jsonl")
            else:
                report = await client.customers.list().compare(source, match="email")
                assert report.same == number, report
            return _figures(time.monotonic() - began, number, report.requests)


def _client(url: str) -> Any:
    from carecloud_async import CareCloud, EnterpriseCredentials

    auth = EnterpriseCredentials(external_application_id="89d1a6111b3fb6e74665d948", login="u", password="p")
    return CareCloud(url, auth=auth, rate_limit=None)


def _figures(seconds: float, rows: int, requests: int) -> dict[str, object]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 1),
        "rows_a_second": round(rows / seconds),
        "requests_a_row": round(requests / rows, 3),
        "mb": round(peak),
    }


def child(who: str, url: str, number: int, kind: str) -> dict[str, object]:
    """Run one contestant in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.loyalty", "--child", who, url, str(number), kind],
            env={"XDG_STATE_HOME": folder, "PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            check=True,
        )
    figures: dict[str, object] = json.loads(done.stdout)
    return figures


CONTESTANTS = {"script": by_script, "sdk": by_sdk, "reads": compare}


def main() -> None:
    """Run the works and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=1_000_000, help="records of the comparison; 0 for none")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until each answer leaves")
    parser.add_argument("--child", nargs=4)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve(options.latency))
        return
    if options.child:
        who, url, number, kind = options.child
        figures = asyncio.run(CONTESTANTS[who](url, int(number), kind))
        print(json.dumps({**figures, "cpu": round(time.process_time(), 2)}))
        return
    for kind in ("bills", "points"):
        for who in ("script", "sdk"):
            with serving(options.latency) as url:
                print(f"{options.rows:,} {kind}, {who}: {child(who, url, options.rows, kind)}", flush=True)
                if who == "sdk":
                    print(f"  the same rows again: {child(who, url, options.rows, kind)}", flush=True)
    if options.records:
        with serving_customers(customers=options.records) as url:
            for kind in ("export", "compare"):
                figures = child("reads", url, options.records, kind)
                print(f"{kind} of {options.records:,} customers: {figures}", flush=True)


if __name__ == "__main__":
    main()
