"""dlt's REST source as its documentation has it, with a token from a login by hand."""

import asyncio
import json
from types import TracebackType
from typing import Self

import httpx
from dlt.sources.rest_api import rest_api_source

from benchmarks.peers.output import output
from benchmarks.records import LOGIN
from benchmarks.task import Task


class Contender:
    """A source with a bearer token and a paginator by offset; its records are written as lines of JSON."""

    def __init__(self, origin: str, base_path: str) -> None:
        self._base = origin + base_path
        self._token = ""

    async def __aenter__(self) -> Self:
        async with httpx.AsyncClient() as client:
            response = await client.post(f"{self._base}/users/actions/login", json=LOGIN)
        response.raise_for_status()
        self._token = response.json()["data"]["bearer_token"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: it keeps no connection."""

    async def jsonl(self, task: Task) -> int:
        """Export all records as lines of JSON, one page after another."""
        return await asyncio.to_thread(self._export, task)

    def _export(self, task: Task) -> int:
        pages = {"type": "offset", "limit": task.count, "limit_param": "count", "total_path": "data.total_items"}
        endpoint = {"path": "customers", "data_selector": "data.customers", "paginator": pages}
        source = rest_api_source(
            {
                "client": {"base_url": f"{self._base}/", "auth": {"type": "bearer", "token": self._token}},
                "resources": [{"name": "customers", "endpoint": endpoint}],
            }
        )
        done = 0
        with output(task, "w") as file:
            for customer in source.resources["customers"]:
                file.write(json.dumps(customer) + "\n")
                done += 1
        return done
