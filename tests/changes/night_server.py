"""A CareCloud with one list that changes while it is read and fails now and then, as a process of its own.

It prints its port. Each line on stdin is a command of JSON, each line on stdout its answer:
`{"begin": …}` begins a night with a seed, changes at a time, a probability of failing, an order, a cap and a kind of
total; `{"end": true}` returns the list, and the ids that left it since.
"""

import asyncio
import json
import random
import sys
from urllib.parse import parse_qs

from lists import ListServer

LOGIN = {"bearer_token": "0" * 40, "valid_to": "2099-01-01 00:00:00", "user": {"user_id": "1"}}


class Nights:
    """The list, from night to night; the failures of a night come from its seed."""

    def __init__(self, size):
        self.machine = ListServer(records=[(f"{index * 7919 % 2**32:08x}", -index) for index in range(size)])
        self.version = 0
        self.removed, self.gone = [], set()
        self.fails = 0.0

    def begin(self, *, seed, churn, fails, order, cap, total):
        machine = self.machine
        machine.dice, machine.order, machine.cap, machine.total = random.Random(seed), order, cap, total
        self.gone, self.fails = set(), fails
        machine.requests = 0
        machine.churn = None
        self.change(4)
        self.gone = set()  # records deleted before the first page may be reported as deleted
        machine.churn = (lambda _: machine.requests < 40 and self.change(churn)) if churn else None
        return [record for record, _ in machine.records]

    def change(self, most):
        records, dice = self.machine.records, self.machine.dice
        for _ in range(dice.randint(0, most)):
            self.version += 1
            kind = dice.choice(["create", "update", "update", "delete", "return"])
            if kind == "create":
                records.append((f"{dice.getrandbits(32):08x}", self.version))
            elif kind == "return" and self.removed:
                records.append((self.removed.pop(dice.randrange(len(self.removed))), self.version))
            elif records:
                index = dice.randrange(len(records))
                name = records[index][0]
                if kind == "update":
                    records[index] = (name, self.version)
                elif kind == "delete":
                    del records[index]
                    self.removed.append(name)
                    self.gone.add(name)

    def end(self):
        return {"list": self.machine.records, "gone": sorted(self.gone)}

    def answer(self, target):
        query = {name: values[0] for name, values in parse_qs(target.partition("?")[2]).items()}
        dice = self.machine.dice
        body = json.dumps({"data": self.machine.page(int(query["offset"]), int(query["count"]))}).encode()
        if dice.random() >= self.fails:
            return http(200, body)
        kind = dice.choice(["refused", "busy", "cut", "damaged"])
        if kind == "refused":
            return http(503, b"")
        if kind == "busy":
            return http(429, b"")
        whole = http(200, body)
        return whole[: dice.randrange(len(whole))] if kind == "cut" else http(200, body[:-3])


def http(status, body):
    head = f"HTTP/1.1 {status} -\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve(nights, reader, writer):
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            if head.startswith("POST"):
                length = next(line for line in head.splitlines() if line.lower().startswith("content-length"))
                await reader.readexactly(int(length.split(":")[1]))
                answer = http(200, json.dumps({"data": LOGIN}).encode())
            else:
                answer = nights.answer(head.split(" ")[1])
            writer.write(answer)
            await writer.drain()
            if not answer.endswith(b"}") and b"200 -" in answer:
                return  # cut: nothing follows
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the reader was killed
    finally:
        writer.close()


async def main(size):
    nights = Nights(size)
    server = await asyncio.start_server(lambda *streams: serve(nights, *streams), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        answer = nights.end() if "end" in command else nights.begin(**command["begin"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
