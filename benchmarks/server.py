"""The loopback server: a stand-in CareCloud that does nothing but hand out bytes rendered before.

It runs in its own process (`python -m benchmarks.server`), prints its port, and ends when its standard input closes.
It knows `POST /users/actions/login`, `GET /customers` (`count`, `offset`; any `last_name` finds no customer),
`GET /customers/{customer_id}`, and `GET /logins`: the number of logins. Every other GET is a 404.
"""

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from benchmarks.records import BASE_PATH, record

TOKEN = "09359095c5da43c7ae11e710eabce49418715a6a"  # the quickstart's example
#: The most bytes of rendered answers that are kept.
KEPT_BYTES = 300_000_000

_END = b"\r\n\r\n"


class Answers:
    """The answers, rendered at first need and kept as the bytes that go on the wire.

    Args:
        records: how many customers there are.
        untidy: whether every tenth is untidy.
    """

    def __init__(self, records: int, *, untidy: bool) -> None:
        self._records = records
        self._untidy = untidy
        self._by_target: dict[bytes, bytes] = {}
        self._pages: dict[tuple[int, int], bytes] = {}
        self._kept = 0
        self._logins = 0

    def get(self, target: bytes) -> bytes:
        """Return the answer to a GET."""
        answer = self._by_target.get(target)
        return self._render(target) if answer is None else answer

    def login(self) -> bytes:
        """Return the answer to a login."""
        self._logins += 1
        end = datetime.now(ZoneInfo("Europe/Prague")) + timedelta(hours=7)
        data = {"bearer_token": TOKEN, "valid_to": f"{end:%Y-%m-%d %H:%M:%S}", "user": {"user_id": "838b73aacb5ac326"}}
        return _answer(json.dumps({"data": data}).encode())

    def _render(self, target: bytes) -> bytes:
        path, _, query = target.decode().removeprefix(BASE_PATH).partition("?")
        if path == "/customers":
            answer = self._page(parse_qs(query))
        elif path.startswith("/customers/"):
            answer = _answer(b'{"data":%b}' % record(int(path[-8:], 16), untidy=self._untidy))
        elif path == "/logins":
            return _answer(b'{"data":%d}' % self._logins)
        else:
            return _answer(b'{"error":{"type":"not_found"}}', status=b"404 Not Found")
        if self._kept < KEPT_BYTES:
            self._by_target[target] = answer
        return answer

    def _page(self, query: dict[str, list[str]]) -> bytes:
        total = 0 if "last_name" in query else self._records
        key = (int(query.get("offset", ["0"])[0]), min(int(query.get("count", ["100"])[0]), total))
        page = self._pages.get(key)
        if page is None:
            items = b",".join(record(i, untidy=self._untidy) for i in range(key[0], min(sum(key), total)))
            page = _answer(b'{"data":{"customers":[%b],"total_items":%d}}' % (items, total))
            if self._kept < KEPT_BYTES:
                self._pages[key] = page
                self._kept += len(page)
        return page


def _answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    date = format_datetime(datetime.now(UTC), usegmt=True).encode()
    head = b"HTTP/1.1 %b\r\nServer: loopback\r\nDate: %b\r\nContent-Type: application/json; charset=utf-8\r\n"
    return (head + b"Content-Length: %d\r\n\r\n%b") % (status, date, len(body), body)


class Connection(asyncio.Protocol):
    """One kept connection: requests in, answers out.

    Args:
        answers: what to answer.
        latency: how long a GET is kept waiting, in seconds.
    """

    def __init__(self, answers: Answers, *, latency: float) -> None:
        self._answers = answers
        self._latency = latency
        self._received = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._received += data
        while (end := self._received.find(_END)) >= 0:
            end += len(_END)
            if self._received.startswith(b"GET "):
                self._send(self._answers.get(self._received[4 : self._received.index(b" ", 4)]), self._latency)
            else:
                end += _body_length(self._received[:end])
                if len(self._received) < end:
                    return
                self._send(self._answers.login(), 0)
            self._received = self._received[end:]

    def _send(self, answer: bytes, latency: float) -> None:
        if latency:
            asyncio.get_running_loop().call_later(latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _body_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _serve(records: int, *, untidy: bool, latency: float) -> None:
    loop = asyncio.get_running_loop()
    answers = Answers(records, untidy=untidy)
    server = await loop.create_server(lambda: Connection(answers, latency=latency), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--untidy", action="store_true")
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    asyncio.run(_serve(options.records, untidy=options.untidy, latency=options.latency))


if __name__ == "__main__":
    _main()
