"""The client that openapi-python-client makes of the vendor's description; see `benchmarks.generate`."""

import os
import sys
from importlib import import_module
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.generate import FOLDER_VARIABLE, PACKAGE
from benchmarks.peers.in_flight import each
from benchmarks.records import customer_id
from benchmarks.task import Task


def _module(name: str) -> Any:
    folder = os.environ[FOLDER_VARIABLE]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return import_module(f"{PACKAGE}.{name}")


class Contender:
    """An `AuthenticatedClient` and its `asyncio` functions, as generated."""

    def __init__(self, origin: str, base_path: str) -> None:
        self._base = origin + base_path
        self._get_customers = _module("api.customers.get_customers").asyncio
        self._get_customer = _module("api.customers.get_customer").asyncio
        self._client: Any

    async def __aenter__(self) -> Self:
        async with httpx.AsyncClient() as client:
            response = await client.post(f"{self._base}/users/actions/login", json={"login": "fabulous_user"})
        token = response.json()["data"]["bearer_token"]
        self._client = _module("client").AuthenticatedClient(self._base, token=token, timeout=httpx.Timeout(120))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.get_async_httpx_client().aclose()

    async def warm_up(self, task: Task) -> None:
        """Make one small call, and get one page if pages are what is measured."""
        await self._call(0)
        if task.kind != "calls":
            await self._get_customers(client=self._client, count=task.count)

    async def pages(self, task: Task) -> int:
        """Read all records as the generated classes, this many pages in flight, and look at each record once."""
        total = (await self._get_customers(client=self._client, count=1)).data.total_items

        async def page(offset: int) -> int:
            answer = await self._get_customers(client=self._client, count=task.count, offset=offset)
            seen = 0
            for _ in answer.data.customers:
                seen += 1
            return seen

        return await each(range(0, total, task.count), page, at_once=task.in_flight)

    async def calls(self, task: Task) -> int:
        """Make small calls, this many in flight."""
        return await each(range(task.done), self._call, at_once=task.in_flight)

    async def _call(self, index: int) -> int:
        answer = await self._get_customer(customer_id(index % 100), client=self._client)
        return 1 if answer.data.customer_id else 0
