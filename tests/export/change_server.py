"""A list of customers with times of change, whose server sorts as it likes and may have no clock."""

import random
from datetime import datetime, timedelta

import httpx
from kit import CREDENTIALS, login_answer

from carecloud_async import CareCloud

START = datetime.fromisoformat("2026-11-10 12:00:00")


class ChangeServer:
    """A customer list; `times` is what each customer's `last_change` says, by id.

    Args:
        times: see above.
        sorts: whether `sort_field` is applied; if not, `default` orders the list.
        default: returns the key of an id in the order without a sort.
        directed: whether `sort_direction` counts without a sort that is applied.
        nulls_first: whether records without a time come first, the latest change first.
        dated: whether answers have a `Date`.
        cap: the most that it sends at once.

    Pages lack the ids in `lagging`, which totals count; offsets from `deepest` on are refused.
    """

    def __init__(self, times, *, sorts=True, default=str, directed=True, nulls_first=False, dated=True, cap=None):
        self.times = dict(times)
        self.sorts, self.default, self.directed = sorts, default, directed
        self.nulls_first, self.dated, self.cap = nulls_first, dated, cap
        self.requests = 0
        self.now = START
        self.after = None
        self.lagging = set()
        self.deepest = None

    def client(self, **more):
        return CareCloud("a.example.com", auth=CREDENTIALS, **{"transport": httpx.MockTransport(self), **more})

    async def __call__(self, request):
        date = (self.now - timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")  # Prague in winter
        headers = {"date": date} if self.dated else {}
        if request.url.path.endswith("/login"):
            return login_answer(headers=headers)
        self.requests += 1
        query = request.url.params
        shown = self.listed(query.get("sort_field"), query.get("sort_direction") == "DESC")
        offset, count = int(query["offset"]), min(int(query["count"]), self.cap or 10**6)
        if self.deepest is not None and offset >= self.deepest:
            return httpx.Response(400, json={"error": {"error_data": {"invalid_params": [{"name": "offset"}]}}})
        found = [one for one in shown if one not in self.lagging][offset : offset + count]
        page = [{"customer_id": one, "last_change": self.times[one]} for one in found]
        if self.after is not None:
            self.after()
        return httpx.Response(200, json={"data": {"customers": page, "total_items": len(shown)}}, headers=headers)

    def listed(self, field, descending):
        if self.sorts and field == "last_change":
            dated = sorted((one for one in self.times if self.times[one]), key=self.times.get, reverse=descending)
            blank = [one for one in self.times if not self.times[one]]
            return blank + dated if self.nulls_first is descending else dated + blank
        if self.sorts and field == "customer_id":
            return sorted(self.times, reverse=descending)
        return sorted(self.times, key=self.default, reverse=descending and self.directed)

    def change(self, name):
        self.times[name] = f"{self.now:%Y-%m-%d %H:%M:%S}"


def hexes(count, seed=1):
    dice = random.Random(seed)
    return [f"{dice.getrandbits(64):016x}" for _ in range(count)]


def old_times(names, *, apart=timedelta(minutes=1)):
    """Return a time for each, all of them before the beginning."""
    first = START - timedelta(days=30)
    return {one: f"{first + index * apart:%Y-%m-%d %H:%M:%S}" for index, one in enumerate(names)}
