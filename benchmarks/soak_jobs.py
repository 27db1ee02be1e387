"""The short jobs of a service of `benchmarks.soak`: calls, portal sessions, and writes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from attrs import frozen

from benchmarks.soak_ledger import Ledger, Outcome
from benchmarks.soak_server import ask
from carecloud_async import CareCloud, CareCloudError, CustomerInput, CustomerSession, SessionExpiredError
from carecloud_async.models import CustomerSourceInput, PersonalInformationInput, TaskCommentInput
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, Sandbox

__all__ = ["OWN_CUSTOMERS", "PORTAL_CUSTOMERS", "SHARED_CUSTOMER", "Calls", "Parts", "Portal", "Writes", "made"]

#: Customers at the front of the list, by index: one that both services hold a session of, those that log in, and those
#: that each service changes. Nothing else changes them.
SHARED_CUSTOMER = 1
PORTAL_CUSTOMERS = range(2, 60)
OWN_CUSTOMERS = 20
SOURCE = CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0])


@frozen(kw_only=True)
class Parts:
    """What the jobs of one service share.

    Attributes:
        name: the service's name, which its records carry.
        number: its number.
        client: the enterprise client.
        portal: the client of the portal.
        ledger: where it notes what it did.
        random: the source of its choices.
        control: path of the socket for orders to the server.
        sandbox: a sandbox with the seed of the server's, which knows logins and ids; it serves nothing.
    """

    name: str
    number: int
    client: CareCloud
    portal: CareCloud
    ledger: Ledger
    random: Random
    control: str
    sandbox: Sandbox


def person(email: str, last_name: str) -> dict[str, str]:
    """Return a row of a customer."""
    return {"email": email, "first_name": "Soak", "last_name": last_name, "language_id": "en"}


async def made(call: Awaitable[Any]) -> tuple[Outcome, Any, str]:
    """Make a write; return its outcome, its result, and the name of its error.

    Raises:
        CareCloudError: the failure is not one that troubles explain.
    """
    try:
        return "done", await call, ""
    except CareCloudError as error:
        return ("unknown" if error.may_have_happened else "failed"), None, type(error).__name__


class Calls:
    """Reads, some of them given up half-way."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ids = parts.sandbox.customers.ids()

    async def read(self) -> None:
        """Read one customer, a page, or the beginning of a list."""
        parts = self._parts
        match parts.random.randrange(6):
            case 0:
                page = await parts.client.customers.list(count=50, offset=parts.random.randrange(1000)).page()
                if len(page.items) != 50:
                    parts.ledger.wrong(f"a page of 50 has {len(page.items)} customers")
            case 1:
                number = 0
                async with parts.client.customers.list(count=100).prefetch(4) as customers:
                    async for _ in customers:
                        number += 1
                        if number == 250:
                            break
            case 2:
                await parts.client.customers.list(last_name="Smith", count=20).first()
            case _:
                wanted = parts.random.choice(self._ids)
                if (await parts.client.customers.get(wanted)).customer_id != wanted:
                    parts.ledger.wrong("customers.get returned another customer")
        parts.ledger.counts["reads"] += 1

    async def give_up(self) -> None:
        """Cancel a call while it is under way."""
        parts = self._parts
        try:
            async with asyncio.timeout(parts.random.uniform(0.0, 0.05)):
                await parts.client.customers.get(parts.random.choice(self._ids))
        except TimeoutError:
            parts.ledger.counts["reads given up"] += 1


class Portal:
    """Customers who log in, look at themselves, and log out; some go on in the other service."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shared = parts.sandbox.customer_session(SHARED_CUSTOMER, device_id="kiosk")
        self._shared_id = parts.sandbox.customers.id_at(SHARED_CUSTOMER)

    async def visit(self) -> None:
        """Log a customer in on a new device."""
        parts = self._parts
        index = parts.random.choice(PORTAL_CUSTOMERS)
        revocations = await ask(parts.control, "revocations")
        view = parts.portal.acting_as(parts.sandbox.customer_session(index))
        state = await view.login()
        wanted = parts.sandbox.customers.id_at(index)
        if state.customer_id != wanted:
            parts.ledger.wrong("a login answered with another customer")
        for _ in range(3):
            await self._look(view, wanted)
        if parts.random.random() < 0.3:
            left = {"token_id": state.token_id, "customer_id": wanted, "revocations": revocations}
            await ask(parts.control, "put_session", **left)
        else:
            await self._leave(view)
        parts.ledger.counts["portal sessions"] += 1

    async def go_on(self) -> None:
        """Go on with a session that any service left."""
        parts = self._parts
        left = await ask(parts.control, "take_session")
        if left is None:
            return
        resumed = CustomerSession.resume(token_id=left["token_id"], customer_id=left["customer_id"])
        view = parts.portal.acting_as(resumed)
        try:
            await self._look(view, left["customer_id"])
        except SessionExpiredError:
            if await ask(parts.control, "revocations") == left["revocations"]:
                parts.ledger.wrong("a session was said to be over, and nothing ended it")
            parts.ledger.counts["sessions over"] += 1
            return
        await self._leave(view)
        try:
            await parts.portal.acting_as(resumed).customers.me()
        except SessionExpiredError:
            parts.ledger.counts["sessions resumed"] += 1
        else:
            parts.ledger.wrong("a session that was logged out was served")

    async def kiosk(self) -> None:
        """Use the one session that both services hold at once."""
        await self._look(self._parts.portal.acting_as(self._shared), self._shared_id)
        self._parts.ledger.counts["kiosk visits"] += 1

    async def _look(self, view: CareCloud, wanted: str) -> None:
        if (await view.customers.me()).customer_id != wanted:
            self._parts.ledger.wrong("customers.me returned another customer")

    async def _leave(self, view: CareCloud) -> None:
        await view.logout()


class Writes:
    """Writes whose outcome the ledger holds."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._number = 0
        begin = PORTAL_CUSTOMERS.stop + parts.number * OWN_CUSTOMERS
        self._own = [parts.sandbox.customers.id_at(index) for index in range(begin, begin + OWN_CUSTOMERS)]
        self._versions: Counter[str] = Counter()
        self._task_id = ""

    async def create(self) -> None:
        """Create a customer once, whatever comes of it."""
        parts = self._parts
        self._number += 1
        email = f"{parts.name}-{self._number}@example.com"
        record = CustomerInput(personal_information=PersonalInformationInput(**person(email, "created")))
        outcome, record_id, error = await made(parts.client.customers.create(record, customer_source=SOURCE))
        parts.ledger.write("create", key=email, outcome=outcome, id=record_id, error=error)

    async def comment(self) -> None:
        """Write a comment once: the server takes the same one twice."""
        parts = self._parts
        self._task_id = self._task_id or await ask(parts.control, "task")
        self._number += 1
        text = f"{parts.name}-{self._number}"
        comments = parts.client.tasks.task_comments(self._task_id)
        outcome, record_id, error = await made(comments.create(TaskCommentInput(text=text)))
        parts.ledger.write("comment", key=text, outcome=outcome, id=record_id, error=error)

    async def update(self) -> None:
        """Change a customer of this service, and read it again."""
        parts = self._parts
        customer_id = parts.random.choice(self._own)
        self._versions[customer_id] += 1
        version = f"{parts.name}-{self._versions[customer_id]}"
        change = parts.client.customers.update(customer_id, {"personal_information": {"last_name": version}})
        outcome, _, error = await made(change)
        parts.ledger.write("update", id=customer_id, version=version, outcome=outcome, error=error)
        if outcome == "done":
            seen = (await parts.client.customers.get(customer_id)).personal_information.last_name
            if seen != version:
                parts.ledger.wrong(f"after the update to {version} a read says {seen}")


Job = Callable[[], Awaitable[None]]
