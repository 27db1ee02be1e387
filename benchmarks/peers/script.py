"""The twenty lines that people write by hand: an HTTP client, `json`, dicts. Shared by httpx and httpx2.

It does not mind the order of pages, repeats nothing that fails and renews no token: every doubt is in its favour.
"""

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, TracebackType
from typing import IO, Any, ClassVar, Self

from benchmarks.peers.in_flight import each
from benchmarks.peers.output import output
from benchmarks.records import LOGIN, SOURCE, customer_id, person
from benchmarks.task import Task


class Script:
    """A hand-written script; `family` is the HTTP library it uses."""

    family: ClassVar[ModuleType]

    def __init__(self, origin: str, base_path: str) -> None:
        headers = {"Content-Type": "application/json", "Accept-Language": "cs, en-gb;q=0.8"}
        self.client: Any = self.family.AsyncClient(
            base_url=origin + base_path, headers=headers, timeout=120, transport=self.transport()
        )

    def transport(self) -> Any:
        """Return what sends the requests; `None` is what the library has."""
        return None

    async def __aenter__(self) -> Self:
        response = await self.client.post("/users/actions/login", json=LOGIN)
        response.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {response.json()['data']['bearer_token']}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.client.aclose()

    async def warm_up(self, task: Task) -> None:
        """Make one small call, and get one page if pages are what is measured."""
        await self._call(0)
        if task.kind == "parquet":
            import pyarrow.parquet  # noqa: F401  (its import is not what is measured)
        if not task.kind.endswith("calls"):
            await self._get_page(0, task.count)

    async def pages(self, task: Task) -> int:
        """Read all records as dicts, this many pages in flight, and look at each record once."""

        async def page(offset: int) -> int:
            seen = 0
            for _ in await self._get_page(offset, task.count):
                seen += 1
            return seen

        return await each(range(0, await self._total(), task.count), page, at_once=task.in_flight)

    async def jsonl(self, task: Task) -> int:
        """Export all records as lines of JSON: loads, then dumps per record."""
        with output(task, "w") as file:
            return await self._write_lines(file, task)

    async def _write_lines(self, file: IO[str], task: Task) -> int:
        async def page(offset: int) -> int:
            records = await self._get_page(offset, task.count)
            for record in records:
                file.write(json.dumps(record) + "\n")
            return len(records)

        return await each(range(0, await self._total(), task.count), page, at_once=task.in_flight)

    async def parquet(self, task: Task) -> int:
        """Export all records to Parquet: loads, then `Table.from_pylist` a page."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.Table.from_pylist(await self._get_page(0, task.count)).schema
        with TemporaryDirectory() as folder, pq.ParquetWriter(Path(folder, "customers.parquet"), schema) as writer:

            async def page(offset: int) -> int:
                table = pa.Table.from_pylist(await self._get_page(offset, task.count), schema=schema)
                writer.write_table(table)
                return table.num_rows

            return await each(range(0, await self._total(), task.count), page, at_once=task.in_flight)

    async def csv(self, task: Task) -> int:
        """Export all records to CSV: loads, then `csv.DictWriter` over flattened dicts."""
        columns = list(_flatten((await self._get_page(0, 1))[0]))
        with output(task, "w") as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            writer.writeheader()

            async def page(offset: int) -> int:
                records = await self._get_page(offset, task.count)
                writer.writerows(map(_flatten, records))
                return len(records)

            return await each(range(0, await self._total(), task.count), page, at_once=task.in_flight)

    async def imports(self, task: Task) -> int:
        """Create customers by their e-mails: look each one up, and create it if there is none."""

        async def write(index: int) -> int:
            row = person(index)
            found = await self.client.get("/customers", params={"email": row["email"]})
            found.raise_for_status()
            if not found.json()["data"]["total_items"]:
                body = {"customer": {"personal_information": row}, "customer_source": SOURCE, "autologin": False}
                (await self.client.post("/customers", json=body)).raise_for_status()
            return 1

        return await each(range(task.done), write, at_once=task.in_flight)

    async def calls(self, task: Task) -> int:
        """Make small calls, this many in flight."""
        return await each(range(task.done), self._call, at_once=task.in_flight)

    async def _call(self, index: int) -> int:
        response = await self.client.get(f"/customers/{customer_id(index % 100)}")
        response.raise_for_status()
        return 1 if response.json()["data"]["customer_id"] else 0

    async def _total(self) -> int:
        response = await self.client.get("/customers", params={"count": 1})
        return int(response.json()["data"]["total_items"])

    async def _get_page(self, offset: int, count: int) -> list[Any]:
        response = await self.client.get("/customers", params={"count": count, "offset": offset})
        response.raise_for_status()
        records: list[Any] = response.json()["data"]["customers"]
        return records


def _flatten(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested objects as dotted names, lists as JSON."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = json.dumps(value) if isinstance(value, list) else value
    return flat
