"""A list in memory that is sorted in any order, capped, counted wrongly, and changed between any two requests."""

import json
import random
from functools import partial

import anyio
import httpx
from attrs import define, field, frozen
from kit import served

from carecloud_async._base import codec
from carecloud_async._base.project import Project
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._calls.call.operation import Answer, RawResponse
from carecloud_async._lists.export.job import run
from carecloud_async._lists.export.source import ExportSource
from carecloud_async.models.customer import Customer
from carecloud_async.resources import OPERATIONS

PROJECT = Project.parse("a.example.com", timezone="Europe/Prague", language="cs")


def collation(one):
    """Letters before punctuation, ignoring case: none of the orders that an export knows."""
    return ([c for c in str(one).casefold() if c.isalnum()], str(one))


def shuffled(one):
    """An order that lasts, but of nothing that the records hold."""
    return random.Random(repr(one)).random()


ORDERS = {
    "text": str,
    "number": lambda one: (int(str(one).strip("#")), repr(one)),
    "casefold": lambda one: (str(one).casefold(), str(one)),
    "collation": collation,
    "shuffled": shuffled,
}


@frozen(kw_only=True)
class _Source(ExportSource):
    plan_given: object = None

    def plan(self, width):
        return super().plan(width) if self.plan_given is None else self.plan_given


@define(kw_only=True)
class ListMachine:
    """A list of customers.

    Attributes:
        records: its records as `(id, number)`; the number never changes.
        order: the name of its order (`dealt`: shuffled for every page), in a tuple.
        descending: whether it is sorted the other way round, in a tuple.
        lacks: returns the records that a page lacks and its total counts, of those that it would show.
        cap: the most that it sends at once.
        total: `true`, `none`, `low`, `short`, `high`, `random`.
        churn: called between requests with the machine.
    """

    records: list
    order: tuple = ("text",)
    descending: tuple = (False,)
    cap: int | None = None
    total: str = "true"
    churn: object = None
    lacks: object = None
    dice: random.Random = field(factory=lambda: random.Random(1))
    requests: int = 0
    gone: set = field(factory=set)
    version: dict = field(factory=dict)

    @property
    def names(self):
        """The ids of its records."""
        return {one for one, _ in self.records}

    def client(self, **more):
        """Return a client of its server."""
        return served(self.answer, rate_limit=None, **more)

    async def answer(self, request):
        for _ in range(self.dice.randrange(3)):
            await anyio.lowlevel.checkpoint()
        query = request.url.params
        body = {"data": self.page(int(query["offset"]), int(query["count"]))}
        return httpx.Response(200, json=body, headers={"date": "Tue, 24 Nov 2026 12:00:00 GMT"})

    def source(self, *, count, plan=None):
        async def fetch(params):
            for _ in range(self.dice.randrange(3)):
                await anyio.lowlevel.checkpoint()
            body = json.dumps({"data": self.page(params["offset"], params["count"])}).encode()
            return Answer(
                codec.page(body, key="customers", into=bytes),
                RawResponse(200, {"date": "Tue, 24 Nov 2026 12:00:00 GMT"}, body, 0.0),
            )

        return _Source(
            plan_given=plan,
            operation=OPERATIONS["getCustomers"],
            into=Customer,
            params={},
            count=count,
            offset=0,
            scope={},
            fetch=fetch,
            project=PROJECT,
            clock=SystemClock(),
        )

    def page(self, offset, count):
        self.requests += 1
        key = ORDERS.get(self.order[0], lambda _: self.dice.random())
        listed = sorted(self.records, key=lambda one: (key(one[0]), one[1]), reverse=self.descending[0])
        lacking = self.lacks(self, listed) if self.lacks is not None else ()
        present = [one for one in listed if one not in lacking] if lacking else listed
        shown = present[offset : offset + min(count, self.cap or count)]
        data = {"customers": [{"customer_id": one, "n": number} for one, number in shown]}
        size = len(listed)
        totals = {"true": size, "low": 1, "short": max(size - 2, 0), "high": size + 5}
        total = self.dice.randrange(2 * size + 1) if self.total == "random" else totals.get(self.total)
        if total is not None:
            data["total_items"] = total
        if self.churn is not None:
            self.churn(self)
        return data

    def delete(self, index):
        self.gone.add(self.records.pop(index))

    def export(self, path, *, count, concurrency=1, plan=None, resume=False):
        """Export it, by a plan for the pages or by the SDK's own; return the report, what is missing, what is twice."""
        start = set(self.records)
        export = partial(run, concurrency=concurrency, overwrite=True, resume=resume)
        report = anyio.run(export, self.source(count=count, plan=plan), path)
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
        keys = [(one["customer_id"], one["n"]) for one in found]
        twice = {one for one in keys if keys.count(one) > 1} if len(set(keys)) != len(keys) else set()
        return report, start - self.gone - set(keys), twice


class ListWithNull(ListMachine):
    """A list that shows null in the place of its third record."""

    def page(self, offset, count):
        data = super().page(offset, count)
        return {**data, "customers": [None if one["customer_id"] == "00002" else one for one in data["customers"]]}


def numbered(names, **more):
    """Return a list of these ids."""
    return ListMachine(records=[(one, index) for index, one in enumerate(names)], **more)
