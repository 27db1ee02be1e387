"""Help for the tests of changes: what a run brings, and a server of one page."""

import sys
from pathlib import Path

import httpx
from kit import served

sys.path.append(str(Path(__file__).parents[1] / "export"))
from change_server import ChangeServer, hexes, old_times
from list_machine import ListMachine, numbered

__all__ = ["ChangeServer", "ListMachine", "hexes", "numbered", "old_times", "read", "serve", "take"]


async def take(listing, state, **options):
    """Return the changes of a run, and its report."""
    async with listing.changes(state=state, **options) as changes:
        found = [change async for change in changes]
    return found, changes.report


async def read(machine, state, **options):
    """Return the changes of a run as pairs of a kind and an id, and its report."""
    async with machine.client() as client:
        found, report = await take(client.customers.list(count=50), state, concurrency=1, **options)
    return [(change.kind, change.id) for change in found], report


def serve(records, **options):
    """Return a client of a server that sends these records, JSON, as one page."""

    def answer(request):
        rows = records if request.url.params["offset"] == "0" else []
        body = f'{{"data":{{"customers":[{",".join(rows)}],"total_items":{len(records)}}}}}'
        return httpx.Response(200, content=body.encode())

    return served(answer, **options)
