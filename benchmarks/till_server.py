"""The server of `benchmarks.till`: bills and points in memory, a ledger of what was done, and a network that goes away.

`python -m benchmarks.till_server SEED`; orders come on its standard input, one a line: `away`, `hang` (no request is
answered), `back`, `calm`, `ledger FILE`, `stop`. It refuses nothing that is there already: a double would show in the
ledger.
"""

import asyncio
import json
import sys
from collections import defaultdict
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

#: How long a request may be worked on after its client got a failure (seconds).
LATE = 3.0
_TROUBLES = {"busy": 2, "unavailable": 1, "lost before": 2, "lost after": 3, "cut after": 2, "late": 2}
_PART = 0.12


class TillServer:
    """The records, and what goes wrong.

    Args:
        seed: seed of the troubles.
    """

    def __init__(self, seed: int) -> None:
        self.ledger: list[tuple[str, str, str]] = []
        self._bills: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._history: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._dice = Random(seed)
        self.part = _PART
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, or not."""
        await self.answers.wait()
        if self.is_away:
            return self._cut(request)
        path = request.path.partition("/v1.0")[2]
        if path == "/users/actions/login":
            login = {"bearer_token": "token", "valid_to": "2099-01-01 00:00:00", "user": {"user_id": "u"}}
            return _json(login)
        if request.method == "GET":
            trouble = self._trouble() if self._dice.random() < self.part / 2 else ""
            if trouble in {"busy", "unavailable"}:
                return _status(trouble)
            return self._cut(request) if "cut" in trouble else _json(self._read(path, request.query))
        body = await request.json()
        trouble = self._trouble() if self._dice.random() < self.part else ""
        if trouble in {"busy", "unavailable"}:
            return _status(trouble)
        if trouble == "lost before":
            return self._cut(request)
        if trouble == "late":
            asyncio.get_running_loop().call_later(self._dice.uniform(0.1, LATE), self._write, path, body)
            return web.Response(status=504)
        made = self._write(path, body)
        if trouble == "lost after":
            return web.Response(status=self._dice.choice([500, 502, 504]))
        return self._cut(request) if trouble == "cut after" else _json(made)

    def _trouble(self) -> str:
        return self._dice.choices([*_TROUBLES], [*_TROUBLES.values()])[0]

    def _cut(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _read(self, path: str, query: Any) -> dict[str, Any]:
        if path == "/purchases":
            records = self._bills.get(query["external_purchase_id"], [])
            return {"purchases": records, "total_items": len(records)}
        wanted = query["point_operation_note"]
        history = self._history.get(query["customer_id"], [])
        records = [record for record in history if wanted in record["point_operation_note"]]
        return {"point_history": records, "total_items": len(records)}

    def _write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("send-purchase"):
            bill_id = body["bill"]["bill_id"]
            record = {"purchase_id": f"p{len(self.ledger)}", "external_purchase_id": bill_id}
            self._bills[bill_id].append({**record, "store_id": body["store_id"], "total_price": 10.0})
            self.ledger.append(("bill", bill_id, body["customer_id"]))
            return {"purchase_id": record["purchase_id"]}
        note = body["note"]
        self._history[body["customer_id"]].append({"point_operation_note": note, "point_amount": body["amount"]})
        self.ledger.append(("points", note.partition("]")[0].removeprefix("[ref: "), body["customer_id"]))
        return {"point_id": "x"}


def _json(data: Any) -> web.Response:
    return web.json_response({"data": data}, headers={"Date": formatdate(usegmt=True)})


def _status(trouble: str) -> web.Response:
    if trouble == "busy":
        return web.Response(status=429, headers={"Retry-After": "1"})
    return web.Response(status=503)


async def serve(seed: int) -> None:
    """Serve until the order to stop."""
    server = TillServer(seed)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(port, flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while (line := (await reader.readline()).decode().split()) and line[0] != "stop":
        if line[0] in {"away", "hang", "back"}:
            server.is_away = line[0] == "away"
            (server.answers.clear if line[0] == "hang" else server.answers.set)()
        elif line[0] == "calm":
            server.is_away, server.part = False, 0.0
        elif line[0] == "ledger":
            Path(line[1]).write_text(json.dumps(server.ledger), encoding="utf-8")  # noqa: ASYNC240
        print("done", flush=True)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
