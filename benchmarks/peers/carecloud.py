"""This SDK, as it is installed and documented: no option is turned for the benchmark."""

import json
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from benchmarks.peers.in_flight import each
from benchmarks.peers.output import output_path
from benchmarks.records import LOGIN, SOURCE, customer_id, person
from benchmarks.task import Task
from carecloud_async import CareCloud, EnterpriseCredentials

_CREDENTIALS = EnterpriseCredentials(
    external_application_id=LOGIN["user_external_application_id"], login=LOGIN["login"], password=LOGIN["password"]
)


class Contender:
    """`CareCloud(…, auth=EnterpriseCredentials(…))`."""

    def __init__(self, origin: str, base_path: str) -> None:
        del base_path  # the SDK knows its paths
        self._origin = origin
        self._client = self._new_client()

    def _new_client(self) -> CareCloud:
        return CareCloud(self._origin, auth=_CREDENTIALS)

    async def __aenter__(self) -> Self:
        await self._client.login()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def warm_up(self, task: Task) -> None:
        """Make one small call, and get one page or export nothing if that is what is measured."""
        await self._get(0)
        await self._request(0)
        if task.kind in {"jsonl", "parquet", "csv"}:
            await self._export(task, last_name="Nobody")
        elif task.kind == "arrow":
            await self._batches(task, last_name="Nobody")
        elif task.kind in {"pages", "pages_auto", "pages_one_by_one", "raw_pages"}:
            await self._client.customers.list(count=task.count).page()

    async def pages(self, task: Task) -> int:
        """Read all records as `Customer` objects by `prefetch`, and look at each once."""
        seen = 0
        async with self._client.customers.list(count=task.count).prefetch(task.in_flight) as customers:
            async for _ in customers:
                seen += 1
        return seen

    async def pages_auto(self, task: Task) -> int:
        """Read them so with as many pages in flight, and as large, as the SDK finds."""
        del task
        seen = 0
        async with self._client.customers.list().prefetch() as customers:
            async for _ in customers:
                seen += 1
        return seen

    async def pages_one_by_one(self, task: Task) -> int:
        """Read all records by plain `async for`: one request after another."""
        seen = 0
        async for _ in self._client.customers.list(count=task.count):
            seen += 1
        return seen

    async def raw_pages(self, task: Task) -> int:
        """Read all records as lines of JSON by plain `async for`."""
        seen = 0
        async for _ in self._client.customers.list(count=task.count).raw():
            seen += 1
        return seen

    async def arrow(self, task: Task) -> int:
        """Read all records as Arrow batches."""
        return await self._batches(task)

    async def _batches(self, task: Task, **filters: str) -> int:
        seen = 0
        async with self._client.customers.list(count=task.count, **filters).arrow(
            concurrency=task.in_flight
        ) as batches:
            async for batch in batches:
                seen += batch.num_rows
        return seen

    async def jsonl(self, task: Task) -> int:
        """Export all records as lines of JSON."""
        return await self._export(task)

    async def parquet(self, task: Task) -> int:
        """Export all records to Parquet."""
        return await self._export(task)

    async def csv(self, task: Task) -> int:
        """Export all records to CSV."""
        return await self._export(task)

    async def _export(self, task: Task, **filters: str) -> int:
        with output_path(task) as path:
            listing = self._client.customers.list(count=task.count, **filters)
            report = await listing.export(path, concurrency=task.in_flight)
        return report.records

    async def imports(self, task: Task) -> int:
        """Create customers by their e-mails."""
        rows = (person(index) for index in range(task.done))
        report = await self._client.customers.bulk_write(rows, match="email", defaults=SOURCE)
        return report.created + report.unchanged

    async def calls(self, task: Task) -> int:
        """Make small calls through `client.customers.get`, this many in flight."""
        return await each(range(task.done), self._get, at_once=task.in_flight)

    async def request_calls(self, task: Task) -> int:
        """Make small calls through `client.request`."""
        return await each(range(task.done), self._request, at_once=task.in_flight)

    async def cold_crowd(self, task: Task) -> int:
        """Make calls that all begin before anybody is logged in: one of them logs in, all others wait for it."""
        before = self._logins()
        self._client = await self._replace_client()
        done = await self.calls(task)
        if (logins := self._logins() - before) != 1:
            raise ValueError(f"{logins} logins instead of one")
        return done

    async def warm_crowd(self, task: Task) -> int:
        """Make the same calls with the token at hand."""
        self._logins()
        self._client = await self._replace_client()
        await self._client.login()
        done = await self.calls(task)
        self._logins()
        return done

    async def _replace_client(self) -> CareCloud:
        await self._client.aclose()
        return self._new_client()

    def _logins(self) -> int:
        with urlopen(f"{self._origin}/logins") as response:
            return int(json.load(response)["data"])

    async def _get(self, index: int) -> int:
        return 1 if (await self._client.customers.get(customer_id(index % 100))).customer_id else 0

    async def _request(self, index: int) -> int:
        data = await self._client.request(
            "GET", "customers/{customer_id}", path_params={"customer_id": customer_id(index % 100)}
        )
        return 1 if data["customer_id"] else 0
