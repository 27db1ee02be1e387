"""Lists of customers on a server of the test's own: sorted, capped, counted and changed in any way."""

import json
import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import anyio
import anyio.lowlevel
import httpx
from attrs import define, field
from kit import KnownUser, served

PRAGUE = ZoneInfo("Europe/Prague")
START = datetime.fromisoformat("2026-11-10 12:00:00")


def collation(record_id):
    """Letters before punctuation, ignoring case: none of the orders that an export knows."""
    return ([c for c in str(record_id).casefold() if c.isalnum()], str(record_id))


#: The key of an id; `shuffled` lasts, but is of nothing that the records hold.
ORDERS = {
    "text": str,
    "number": lambda record_id: (int(str(record_id).strip("#")), repr(record_id)),
    "casefold": lambda record_id: (str(record_id).casefold(), str(record_id)),
    "collation": collation,
    "shuffled": lambda record_id: random.Random(repr(record_id)).random(),
}


@define(kw_only=True)
class ListServer:
    """A list of customers.

    Attributes:
        records: its records as `(id, number)`; the number never changes.
        order: its order, of `ORDERS`; `dealt` is another one for every page, `kept` that of `records`.
        descending: whether it is sorted the other way round.
        lacks: returns the records that a page lacks and its total counts, of those that it would show.
        null: the id of a record in whose place there is a null.
        cap: the most that it sends at once, or a function that returns it.
        total: `true`, `none`, `low`, `short`, `high`, `random`.
        churn: called after each request with the server.
        gone: the records that `delete` took away.
    """

    records: list
    order: str = "text"
    descending: bool = False
    cap: object = None
    total: str = "true"
    churn: object = None
    lacks: object = None
    null: str = ""
    dice: random.Random = field(factory=lambda: random.Random(1))
    requests: int = 0
    gone: set = field(factory=set)

    @property
    def names(self):
        """The ids of its records."""
        return {record_id for record_id, _ in self.records}

    def client(self, **options):
        """Return a client of its server."""
        return served(self.answer, **{"auth": KnownUser(), "rate_limit": None, **options})

    async def answer(self, request):
        for _ in range(self.dice.randrange(3)):
            await anyio.lowlevel.checkpoint()
        query = request.url.params
        body = {"data": self.page(int(query["offset"]), int(query["count"]))}
        return httpx.Response(200, json=body, headers={"date": "Tue, 24 Nov 2026 12:00:00 GMT"})

    def page(self, offset, count):
        self.requests += 1
        listed = self._listed()
        lacking = [] if self.lacks is None else self.lacks(self, listed)
        cap = self.cap() if callable(self.cap) else self.cap
        shown = [record for record in listed if record not in lacking][offset : offset + min(count, cap or count)]
        data = {"customers": [None if name == self.null else {"customer_id": name, "n": n} for name, n in shown]}
        size = len(listed)
        totals = {"true": size, "low": 1, "short": max(size - 2, 0), "high": size + 5}
        total = self.dice.randrange(2 * size + 1) if self.total == "random" else totals.get(self.total)
        if total is not None:
            data["total_items"] = total
        if self.churn is not None:
            self.churn(self)
        return data

    def _listed(self):
        if self.order == "kept":
            return list(self.records)
        key = ORDERS.get(self.order, lambda _: self.dice.random())
        return sorted(self.records, key=lambda record: (key(record[0]), record[1]), reverse=self.descending)

    def delete(self, index):
        self.gone.add(self.records.pop(index))

    def export(self, path, *, count, client=None, **options):
        """Export it; return the report, the records that are missing, and those that are there twice."""
        start = set(self.records)

        async def export():
            async with self.client(**client or {}) as made:
                listing = made.customers.list(count=count)
                return await listing.export(path, **{"concurrency": 1, "overwrite": True, **options})

        report = anyio.run(export)
        lines = map(json.loads, path.read_bytes().splitlines())
        keys = [(line["customer_id"], line["n"]) for line in lines]
        twice = {key for key in keys if keys.count(key) > 1} if len(set(keys)) != len(keys) else set()
        return report, start - self.gone - set(keys), twice


def numbered(names, **options):
    """Return a list of these ids."""
    return ListServer(records=[(name, index) for index, name in enumerate(names)], **options)


def hexes(count, seed=1):
    """Return ids in no order."""
    dice = random.Random(seed)
    return [f"{dice.getrandbits(64):016x}" for _ in range(count)]


def old_times(names, *, apart=timedelta(minutes=1)):
    """Return a time for each, all of them before the beginning."""
    first = START - timedelta(days=30)
    return {name: api_time(first + index * apart) for index, name in enumerate(names)}


def api_time(moment):
    """Return a time as the API writes it."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


class ChangeServer:
    """A list of customers; `times` is when each has changed last, by id.

    Args:
        times: see above.
        sorts: whether `sort_field` is applied; if not, `default` orders the list.
        default: returns the key of an id in the order without a sort.
        directed: whether `sort_direction` counts without a sort that is applied.
        nulls_first: whether records without a time come first, the latest change first.
        dated: whether answers have a `Date`.

    Pages lack the ids in `lagging`, which totals count; offsets from `deepest` on are refused.
    """

    def __init__(self, times, *, sorts=True, default=str, directed=True, nulls_first=False, dated=True):
        self.times = dict(times)
        self.sorts, self.default, self.directed = sorts, default, directed
        self.nulls_first, self.dated = nulls_first, dated
        self.requests = 0
        self.now = START
        self.after = None
        self.lagging = set()
        self.deepest = None
        self.changed = set()

    def client(self, **options):
        return served(self.answer, **{"auth": KnownUser(), **options})

    def answer(self, request):
        self.requests += 1
        query = request.url.params
        shown = self.listed(query.get("sort_field"), query.get("sort_direction") == "DESC")
        offset, count = int(query["offset"]), int(query["count"])
        if self.deepest is not None and offset >= self.deepest:
            return httpx.Response(400, json={"error": {"error_data": {"invalid_params": [{"name": "offset"}]}}})
        names = [name for name in shown if name not in self.lagging][offset : offset + count]
        data = {"customers": [self.record(name) for name in names], "total_items": len(shown)}
        date = f"{self.now - timedelta(hours=1):%a, %d %b %Y %H:%M:%S} GMT"  # Prague in winter
        if self.after is not None:
            self.after()
        return httpx.Response(200, json={"data": data}, headers={"date": date} if self.dated else {})

    def record(self, name):
        return {"customer_id": name, "last_change": self.times[name], "state": int(name in self.changed)}

    def key(self, name):
        """The key of an id in the order of changes."""
        return self.times[name]

    def listed(self, field, descending):
        if self.sorts and field == "last_change":
            dated = sorted((name for name in self.times if self.times[name]), key=self.key, reverse=descending)
            blank = [name for name in self.times if not self.times[name]]
            return blank + dated if self.nulls_first is descending else dated + blank
        if self.sorts and field == "customer_id":
            return sorted(self.times, reverse=descending)
        return sorted(self.times, key=self.default, reverse=descending and self.directed)

    def change(self, *names):
        self.times.update(dict.fromkeys(names, api_time(self.now)))
        self.changed.update(names)


LOST = object()
_DOTTED = "%d.%m.%Y %H:%M"
#: How a time is spelled: of all records, or only of those that have changed, while the others are as the API has them.
SPELLINGS = {
    "api": (api_time, api_time),
    "number": (lambda moment: int(moment.timestamp()),) * 2,
    "dotted": (lambda moment: f"{moment:{_DOTTED}}",) * 2,
    "Z": (lambda moment: f"{moment.astimezone(ZoneInfo('UTC')):%Y-%m-%dT%H:%M:%SZ}",) * 2,
    "offset": (lambda moment: moment.astimezone(ZoneInfo("America/New_York")).isoformat(),) * 2,
    "always null": (lambda _: None,) * 2,
    "always missing": (lambda _: LOST,) * 2,
    "changed is dotted": (api_time, lambda moment: f"{moment:{_DOTTED}}"),
    "changed is null": (api_time, lambda _: None),
    "changed is missing": (api_time, lambda _: LOST),
}


class SpellingServer(ChangeServer):
    """A list whose `last_change` is spelled in any way, sorted by the real time of change, or by that text.

    Args:
        names: the ids; all of them changed long ago.
        spelling: the name of a pair of `SPELLINGS`.
        by_text: whether it sorts by what it writes, numbers and nothing first.
    """

    def __init__(self, names, spelling, *, by_text=False):
        super().__init__(old_times(names), default=lambda name: name[::-1])
        self._spellings, self._by_text = SPELLINGS[spelling], by_text

    def _spelled(self, name):
        moment = datetime.fromisoformat(self.times[name]).replace(tzinfo=PRAGUE)
        return self._spellings[name in self.changed](moment)

    def record(self, name):
        spelled, record = self._spelled(name), super().record(name)
        del record["last_change"]
        return record if spelled is LOST else {**record, "last_change": spelled}

    def key(self, name):
        if not self._by_text:
            return self.times[name]
        spelled = self._spelled(name)
        return "" if spelled is LOST or spelled is None else str(spelled)


def sending(*lines, **options):
    """Return a client of a server whose list of customers has these records, JSON as it stands, on one page."""
    rows = [line if isinstance(line, bytes) else line.encode() for line in lines]

    def answer(request):
        shown = b",".join(rows if request.url.params["offset"] == "0" else [])
        return httpx.Response(200, content=b'{"data":{"customers":[%b],"total_items":%d}}' % (shown, len(rows)))

    return served(answer, **{"auth": KnownUser(), **options})
