"""The server of `benchmarks.held`: it holds all writes for a time from the first one on, and answers reads meanwhile.

`python -m benchmarks.held_server SECONDS`; it prints its port. A write that it holds acts at the end of that time,
whether its client waits or has gone, as those of PHP do under a lock of the database. `GET /made` says what it has.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from email.utils import formatdate
from typing import Any

from aiohttp import web

#: Path of a write → its list, and the name of what it answers.
WRITES = {
    "/customers": ("customers", "customer_id"),
    "/points/actions/assign-points": ("point_history", "point_id"),
    "/credits/actions/deposit-credits": ("credit_history", "credit_id"),
    "/purchases/actions/send-purchase": ("purchases", "purchase_id"),
    "/events": ("events", "event_id"),
}


class HeldServer:
    """The records, and the writes that wait.

    Args:
        seconds: for how long writes are held.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None
        self._records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._tasks: set[asyncio.Task[dict[str, Any]]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        path = request.path.partition("/v1.0")[2]
        if request.path == "/made":
            return web.json_response({"until": self._until, "records": self._records})
        if path == "/users/actions/login":
            return _json({"bearer_token": "token", "valid_to": "2099-01-01 00:00:00", "user": {"user_id": "u"}})
        if request.method == "GET":
            name = path.strip("/").replace("-", "_")
            records = [record for record in self._records[name] if _is_wanted(record, request)]
            return _json({name: records, "total_items": len(records)})
        # A task of its own: it goes on when its client has gone.
        task = asyncio.create_task(self._write(path, await request.json()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _json(await asyncio.shield(task))

    async def _write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + self._seconds
        await asyncio.sleep(max(self._until - loop.time(), 0.0))
        name, id_field = WRITES[path]
        made = f"{name}-{len(self._records[name])}"
        self._records[name].append({id_field: made, **_record(path, body)})
        return {id_field: made}


def _record(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return what a list shows of a write."""
    if path == "/customers":
        return dict(body["customer"])
    if path == "/events":
        return dict(body["event"])
    if path.startswith("/purchases"):
        bill = body["bill"]
        shown = {name: bill[name] for name in ("payment_time", "total_price", "currency_id")}
        return {"external_purchase_id": bill["bill_id"], "store_id": body["store_id"], **shown}
    kind = "point" if path.startswith("/points") else "credit"
    amount = "point_amount" if kind == "point" else "amount"
    return {"customer_id": body["customer_id"], f"{kind}_operation_note": body["note"], amount: body["amount"]}


def _is_wanted(record: dict[str, Any], request: web.Request) -> bool:
    """Return whether a record has what the filters of a list ask for."""
    query = request.query
    emails = {email.lower() for email in query.getall("email_list[]", [])}
    if emails and record["personal_information"]["email"].lower() not in emails:
        return False
    for name, value in query.items():
        shown = record.get(name)
        if name.endswith("_operation_note") and value not in str(shown):
            return False
        if name in {"customer_id", "external_purchase_id", "external_id"} and shown != value:
            return False
    return True


def _json(data: Any) -> web.Response:
    return web.json_response({"data": data}, headers={"Date": formatdate(usegmt=True)})


async def serve(seconds: float) -> None:
    """Serve until the standard input ends."""
    server = HeldServer(seconds)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
