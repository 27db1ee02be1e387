"""The loopback server of `benchmarks.bulk`: customers and cards that are created and looked up.

The customers that are there at the begin are made of arithmetic, so that there may be millions; others are kept in
memory.

It runs in its own process (`python -m benchmarks.bulk_server`), prints its port, and ends when its standard input
closes. `GET /requests` counts the requests by verb and path, `GET /served` counts those that were served by second;
`--rate` limits them in a bucket of ten, and `--latency` holds each answer back for some seconds.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from benchmarks.records import BASE_PATH, person

_KNOWN = re.compile(r"known(\d+)@example\.com")
_END = b"\r\n\r\n"


class Project:
    """The records.

    Args:
        customers: how many customers there are at the begin.
        rate: requests a second; 0 for no limit.
    """

    def __init__(self, *, customers: int, rate: float) -> None:
        self._known = customers
        self._customers: dict[str, dict[str, object]] = {}
        self._emails: list[str] = []
        self._cards: dict[str, dict[str, object]] = {}
        self._rate, self._tokens, self._at = rate, 10.0, time.monotonic()
        self.requests: Counter[str] = Counter()
        self.refused = 0
        self.served: Counter[int] = Counter()

    def answer(self, verb: str, target: str, body: bytes) -> tuple[int, object]:
        """Return the status and the data of an answer."""
        path, _, query = target.removeprefix(BASE_PATH).partition("?")
        if path == "/requests":
            return 200, self.requests
        if path == "/served":
            return 200, {"refused": self.refused, "seconds": [self.served[key] for key in sorted(self.served)]}
        self.requests[f"{verb} {path}"] += 1
        if not self._admits():
            self.refused += 1
            return 429, None
        self.served[int(time.monotonic())] += 1
        if path == "/users/actions/login":
            end = datetime.now(ZoneInfo("Europe/Prague")) + timedelta(hours=7)
            return 200, {"bearer_token": "token", "valid_to": f"{end:%Y-%m-%d %H:%M:%S}", "user": {"user_id": "u"}}
        if verb == "POST" and path == "/customers":
            return 201, {"customer_id": self._create(json.loads(body)["customer"])}
        if verb == "POST" and path == "/cards/batch":
            for card in json.loads(body)["cards"]:
                self._cards[card["card_number"]] = {"card_id": f"c{len(self._cards):012}", **card}
            return 204, None
        wanted = parse_qs(query)
        count, offset = int(wanted.get("count", ["100"])[0]), int(wanted.get("offset", ["0"])[0])
        if path == "/customers":
            emails = wanted.get("email_list[]") or wanted.get("email")
            if emails is not None:
                records = [record for record in map(self._by_email, emails) if record is not None]
                return 200, {"customers": records[offset : offset + count], "total_items": len(records)}
            total = self._known + len(self._emails)
            page = [self._record_at(place) for place in range(offset, min(offset + count, total))]
            return 200, {"customers": page, "total_items": total}
        if path == "/cards":
            numbers = wanted.get("card_number_list[]", self._cards)
            cards = [self._cards[key] for key in numbers if key in self._cards]
            return 200, {"cards": cards[offset : offset + count], "total_items": len(cards)}
        return 404, None

    def _by_email(self, email: str) -> dict[str, object] | None:
        match = _KNOWN.fullmatch(email)
        if match is not None and int(match[1]) < self._known:
            return self._record_at(int(match[1]))
        return self._customers.get(email)

    def _record_at(self, place: int) -> dict[str, object]:
        if place < self._known:
            return _record(place, {"personal_information": person(place)})
        return self._customers[self._emails[place - self._known]]

    def _create(self, record: dict[str, object]) -> str:
        email = str(record["personal_information"]["email"])  # type: ignore[index]
        self._customers[email] = _record(self._known + len(self._emails), record)
        self._emails.append(email)
        return str(self._customers[email]["customer_id"])

    def _admits(self) -> bool:
        if not self._rate:
            return True
        now = time.monotonic()
        self._tokens, self._at = min(self._tokens + (now - self._at) * self._rate, 10.0), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _record(place: int, record: dict[str, object]) -> dict[str, object]:
    return {"customer_id": f"8ea6abece4cd0a4ded{place:08x}", **record, "last_change": "2026-01-01 00:00:00", "state": 1}


class Connection(asyncio.Protocol):
    """One kept connection.

    Args:
        project: the records.
        latency: seconds until an answer leaves.
    """

    def __init__(self, project: Project, *, latency: float = 0.0) -> None:
        self._project = project
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(_END)) >= 0:
            head, begin = self._received[:end], end + len(_END)
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            if len(self._received) < begin + length:
                return
            verb, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            status, data_ = self._project.answer(verb, target, self._received[begin : begin + length])
            self._received = self._received[begin + length :]
            body = b"" if status == 204 else json.dumps({"data": data_}, separators=(",", ":")).encode()
            head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
                status,
                len(body),
            )
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, head + body)
            else:
                self._transport.write(head + body)


async def _serve(project: Project, *, latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(project, latency=latency), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(_serve(Project(customers=options.customers, rate=options.rate), latency=options.latency))
