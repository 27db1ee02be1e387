"""The server of `benchmarks.soak`: a sandbox on one socket, and a second socket that gives it orders.

It runs in its own process (`python -m benchmarks.soak_server SETTINGS`), prints its URL, and ends on the order `stop`.
A restart closes every connection and refuses new ones for a while; the records stay, as a database would keep them.
Everything runs on one event loop, so that an order never comes between the steps of a request.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import uvicorn

from benchmarks.api_rules import rules_broken_by
from benchmarks.rate_servers import SlidingWindow
from carecloud_async.sandbox import ArmedFault, RecordedRequest, Sandbox
from carecloud_async.sandbox.server.serving import listening, server_for, url_of

#: The longest order or reply; the longest is the list of all customers.
LONGEST = 2**26


async def ask(control: str, order: str, **arguments: Any) -> Any:
    """Give the server an order and return its reply."""
    reader, writer = await asyncio.open_unix_connection(control, limit=LONGEST)
    try:
        writer.write(json.dumps([order, arguments]).encode() + b"\n")
        return json.loads(await reader.readline())
    finally:
        writer.close()
        await writer.wait_closed()


class SoakServer:
    """The sandbox, and what is done to it.

    Args:
        sandbox: the sandbox.
        control: path of the socket for orders.
        seed: seed of what happens to the records.
        limit: the limit of requests; what is beyond it is answered by 429.
    """

    def __init__(self, sandbox: Sandbox, *, control: str, seed: int, limit: SlidingWindow) -> None:
        self._sandbox = sandbox
        self._control = control
        self._random = Random(seed)
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._down = 0.0
        self._ending = False
        self._deleted: list[str] = []
        self._made: list[str] = []
        self._sessions: list[dict[str, Any]] = []
        self._revocations = 0
        self._broken_rules: set[str] = set()
        self._limit = limit
        self._refusals: list[ArmedFault] = []
        sandbox.on_request = self._received
        self._task_id = sandbox.records("tasks").ids()[0]
        self._orders: dict[str, Callable[..., Any]] = {
            "fault": self.fault,
            "calm": sandbox.faults.clear,
            "revoke": self.revoke,
            "advance": sandbox.advance,
            "restart": self.restart,
            "churn": self.churn,
            "ids": self.ids,
            "task": lambda: self._task_id,
            "put_session": self.put_session,
            "take_session": self.take_session,
            "revocations": lambda: self._revocations,
            "dump": self.dump,
            "stop": self.stop,
        }

    def _received(self, request: RecordedRequest) -> None:
        for refusal in [refusal for refusal in self._refusals if refusal.hits]:
            self._sandbox.faults.remove(refusal)
            self._refusals.remove(refusal)
        if not self._limit.admit(self._sandbox.clock.now()):
            self._refusals.append(self._sandbox.faults.add("*", status=429))
        self._broken_rules |= {f"{request.name}: {text}" for text in rules_broken_by(request)}

    async def run(self) -> None:
        """Serve until the order to stop comes."""
        orders = await asyncio.start_unix_server(self._obey, self._control, limit=LONGEST)
        async with orders:
            while not self._ending:
                with listening("127.0.0.1", self._port) as listener:
                    url = url_of(listener)
                    if not self._port:
                        self._port = int(url.rsplit(":", 1)[1])
                        print(url, flush=True)
                    self._server = server_for(
                        self._sandbox.app,
                        host="127.0.0.1",
                        port=self._port,
                    )
                    await self._server.serve([listener])
                await asyncio.sleep(self._down)

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order, arguments = json.loads(await reader.readline())
            writer.write(json.dumps(self._orders[order](**arguments), default=str).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            pass  # the asker was stopped meanwhile
        finally:
            writer.close()

    def fault(self, pattern: str, **how: Any) -> None:
        """Order a fault."""
        self._sandbox.faults.add(pattern, **how)

    def revoke(self, which: str) -> None:
        """End the tokens of users, of devices, or all."""
        self._revocations += 1
        if which in {"all", "users"}:
            self._sandbox.user_tokens.revoke_all()
        if which in {"all", "devices"}:
            self._sandbox.device_tokens.revoke_all()

    def restart(self, seconds: float) -> None:
        """Go down for some seconds."""
        self._down = seconds
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """End."""
        self._ending = True
        self.restart(0.0)

    def churn(self, number: int, kept: int) -> None:
        """Create, change and delete customers, as another program of the project would.

        Args:
            number: how many of each.
            kept: number of customers at the front that stay alone.
        """
        customers = self._sandbox.customers
        for _ in range(number):
            self._made.append(customers.insert())
        seeded = customers.ids()[kept : customers.seeded]
        for customer_id in self._random.sample(seeded, min(number, len(seeded))):
            customers.update(customer_id, {"personal_information": {"first_name": f"F{self._random.random()}"}})
        while len(self._made) > 5 * number:
            gone = self._made.pop(self._random.randrange(len(self._made)))
            customers.delete(gone)
            self._deleted.append(gone)

    def ids(self) -> dict[str, Any]:
        """Return the ids of the customers that are there, and of those that were deleted."""
        return {"live": self._sandbox.customers.ids(), "deleted": self._deleted}

    def put_session(self, **session: Any) -> None:
        """Keep a session that stays logged in, for any service to go on with."""
        self._sessions.append(session)

    def take_session(self) -> dict[str, Any] | None:
        """Return a session that a service left logged in, if there is one."""
        return self._sessions.pop(0) if self._sessions else None

    def dump(self) -> dict[str, Any]:
        """Return everything that the ledgers are compared with."""
        sandbox = self._sandbox
        people = [(record["customer_id"], record.get("personal_information") or {}) for record in sandbox.customers]
        return {
            "customers": [
                [customer_id, record.get("email"), record.get("last_name")] for customer_id, record in people
            ],
            "comments": Counter(
                str(record.get("text")) for record in sandbox.records("tasks/task-comments", of=self._task_id)
            ),
            "violations": sorted(self._broken_rules),
            "statuses": sandbox.statuses,
            "requests": sandbox.count(),
            "logins": sandbox.logins,
            "connections": sandbox.connections.now,
            "opened": sandbox.connections.total,
        }


def main() -> None:
    settings = json.loads(sys.argv[1])
    Path(settings["control"]).unlink(missing_ok=True)
    sandbox = Sandbox(
        customers=settings["customers"],
        seed=settings["seed"],
        token_lifetime=settings["token_lifetime"],
    )
    limit = SlidingWindow(settings["rate_limit"])
    asyncio.run(SoakServer(sandbox, control=settings["control"], seed=settings["seed"], limit=limit).run())


if __name__ == "__main__":
    main()
