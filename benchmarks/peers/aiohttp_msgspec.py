"""The limit: bare aiohttp and msgspec into the SDK's models. No retries, no tokens renewed, nothing untidy."""

from types import TracebackType
from typing import Generic, Self, TypeVar

import aiohttp
import msgspec

from benchmarks.peers.in_flight import each
from benchmarks.peers.output import output
from benchmarks.records import LOGIN, customer_id
from benchmarks.task import Task
from carecloud_async.models import Customer

T = TypeVar("T")


class _Listed(msgspec.Struct, Generic[T]):
    customers: list[T]
    total_items: int


class _Data(msgspec.Struct, Generic[T]):
    data: T


class Contender:
    """What Python can do here, with two libraries and no comfort."""

    def __init__(self, origin: str, base_path: str) -> None:
        self._base = origin + base_path
        self._one = msgspec.json.Decoder(_Data[Customer])
        self._page = msgspec.json.Decoder(_Data[_Listed[Customer]])
        self._raw = msgspec.json.Decoder(_Data[_Listed[msgspec.Raw]])
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json", "Accept-Language": "cs, en-gb;q=0.8"}
        async with aiohttp.ClientSession(headers=headers) as session:
            response = await session.post(f"{self._base}/users/actions/login", json=LOGIN)
            token = (await response.json())["data"]["bearer_token"]
        self._session = aiohttp.ClientSession(headers=headers | {"Authorization": f"Bearer {token}"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def warm_up(self, task: Task) -> None:
        """Make one small call, and get one page if pages are what is measured."""
        await self._call(0)
        if task.kind != "calls":
            await self._get(f"/customers?count={task.count}&offset=0")

    async def pages(self, task: Task) -> int:
        """Read all records as attrs objects, this many pages in flight, and look at each record once."""

        async def page(offset: int) -> int:
            body = await self._get(f"/customers?count={task.count}&offset={offset}")
            seen = 0
            for _ in self._page.decode(body).data.customers:
                seen += 1
            return seen

        return await each(range(0, await self._total(), task.count), page, at_once=task.in_flight)

    async def jsonl(self, task: Task) -> int:
        """Export all records as lines of JSON, cut out of the page unread."""
        with output(task, "wb") as file:

            async def page(offset: int) -> int:
                body = await self._get(f"/customers?count={task.count}&offset={offset}")
                records = self._raw.decode(body).data.customers
                file.write(b"\n".join(records) + b"\n")
                return len(records)

            return await each(range(0, await self._total(), task.count), page, at_once=task.in_flight)

    async def calls(self, task: Task) -> int:
        """Make small calls, this many in flight."""
        return await each(range(task.done), self._call, at_once=task.in_flight)

    async def _call(self, index: int) -> int:
        body = await self._get(f"/customers/{customer_id(index % 100)}")
        return 1 if self._one.decode(body).data.customer_id else 0

    async def _total(self) -> int:
        return self._raw.decode(await self._get("/customers?count=1")).data.total_items

    async def _get(self, path: str) -> bytes:
        async with self._session.get(self._base + path) as response:
            response.raise_for_status()
            return await response.read()
