"""A list of customers whose `last_change` is spelled in any way."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
from kit import CREDENTIALS, login_answer

from carecloud_async import CareCloud

PRAGUE = ZoneInfo("Europe/Prague")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

LOST = object()


def api(moment):
    return f"{moment.astimezone(PRAGUE):%Y-%m-%d %H:%M:%S}"


def dotted(moment):
    return f"{moment.astimezone(PRAGUE):%d.%m.%Y %H:%M}"


#: How a time is spelled: of all records, or only of those that have changed, while the others are as the API has them.
SPELLINGS = {
    "api": (api, api),
    "number": (lambda moment: int(moment.timestamp()),) * 2,
    "dotted": (dotted, dotted),
    "Z": (lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}",) * 2,
    "offset": (lambda moment: moment.astimezone(ZoneInfo("America/New_York")).isoformat(),) * 2,
    "always null": (lambda _: None,) * 2,
    "always missing": (lambda _: LOST,) * 2,
    "changed is dotted": (api, dotted),
    "changed is null": (api, lambda _: None),
    "changed is missing": (api, lambda _: LOST),
}


class SpellingServer:
    """A list that it sorts by the real time of change, or by the text of what it writes.

    Args:
        names: the ids; all of them changed long ago.
        spelling: the name of a pair of `SPELLINGS`.
        by_text: whether it sorts by what it writes, numbers and nothing first.
    """

    def __init__(self, names, spelling, *, by_text=False):
        self.moments = {one: NOW - timedelta(days=90, minutes=index) for index, one in enumerate(names)}
        self.changed = set()
        self.now = NOW
        self.requests = 0
        self._spell, self._spell_changed = SPELLINGS[spelling]
        self._by_text = by_text

    def change(self, *names):
        self.moments.update(dict.fromkeys(names, self.now))
        self.changed.update(names)

    def client(self, **more):
        return CareCloud("a.example.com", auth=CREDENTIALS, transport=httpx.MockTransport(self), **more)

    def spelled(self, name):
        return (self._spell_changed if name in self.changed else self._spell)(self.moments[name])

    def record(self, name):
        time = self.spelled(name)
        return {"customer_id": name, "state": int(name in self.changed)} | (
            {} if time is LOST else {"last_change": time}
        )

    def _key(self, name):
        if not self._by_text:
            return self.moments[name]
        time = self.spelled(name)
        return "" if time is LOST or time is None else str(time)

    async def __call__(self, request):
        headers = {"date": f"{self.now:%a, %d %b %Y %H:%M:%S} GMT"}
        if request.url.path.endswith("/login"):
            return login_answer(headers=headers)
        self.requests += 1
        query = request.url.params
        keys = {"last_change": self._key, "customer_id": str, None: lambda one: one[::-1]}
        listed = sorted(self.moments, key=keys[query.get("sort_field")], reverse=query.get("sort_direction") == "DESC")
        offset, count = int(query["offset"]), int(query["count"])
        page = [self.record(one) for one in listed[offset : offset + count]]
        return httpx.Response(200, json={"data": {"customers": page, "total_items": len(listed)}}, headers=headers)
