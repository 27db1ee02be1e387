"""Help for the tests of exports: the records of a file, and a list server that does what a test says."""

import json
import random

import anyio
import httpx
from clocks import SlowClock
from kit import served

DATE = {"date": "Tue, 24 Nov 2026 12:00:00 GMT"}


def every_page():
    """Make a clock on which each report of progress is due."""
    return SlowClock(0.2)


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ids(path):
    return [record["customer_id"] for record in records(path)]


class ListServer:
    """A customer list in any order, which changes between pages, caps, lies and repeats.

    Args:
        names: the ids at the beginning.
        order: `id`, `number`, `shuffled` (another order than the ids', fixed) or `ties` (shuffled for every page).
        cap: the most that it sends at once; may be changed at any time.
        total: what it says beside the truth: `true`, `none`, `low`, `high`.
        change: called after each page with the list; returns ids to delete and ids to insert.
        repeat_every: after this many pages, the last page is sent once more.
        seed: of the shuffling.
    """

    def __init__(self, names, *, order="id", cap=None, total="true", change=None, repeat_every=0, seed=0):
        self.names = list(names)
        self.gone = set()
        self.requests = 0
        # Fewer records than the total, or the answer before again and again: the export need not be exact.
        self.misleads = total == "high" or bool(repeat_every) or (total == "low" and not self.names)
        self._order = order
        self.cap = cap
        self._total = total
        self._change = change
        self._repeat_every = repeat_every
        self._last = None
        self._random = random.Random(seed)
        self._rank = {}

    def client(self, **more):
        return served(self, **more)

    async def __call__(self, request):
        self.requests += 1
        for _ in range(self._random.randrange(4)):
            await anyio.lowlevel.checkpoint()
        query = request.url.params
        body = self._page(int(query["offset"]), int(query["count"]), query.get("sort_direction") == "DESC")
        if self._repeat_every and self.requests % self._repeat_every == 0 and self._last is not None:
            return httpx.Response(200, json=self._last, headers=DATE)
        self._last = body
        if self._change is not None:
            gone, come = self._change(self.names)
            self.gone.update(gone)
            self.names = [one for one in self.names if one not in set(gone)] + list(come)
        return httpx.Response(200, json=body, headers=DATE)

    def _page(self, offset, count, descending):
        listed = sorted(self.names, key=self.sort_key, reverse=descending)
        shown = listed[offset : offset + min(count, self.cap or count)]
        data = {"customers": [{"customer_id": one, "state": 1} for one in shown]}
        total = {"true": len(listed), "low": 1, "high": len(listed) + 1000}.get(self._total)
        return {"data": data if total is None else {**data, "total_items": total}}

    def sort_key(self, name):
        if self._order == "number":
            return int(name)
        if self._order == "shuffled":
            return self._rank.setdefault(name, random.Random(name).random())
        if self._order == "ties":
            return (int(name, 16) // 40, self._random.random())
        return name
