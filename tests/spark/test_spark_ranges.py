"""Partitions of a list that changes at every request, without a Spark session."""

import random
from functools import partial

import httpx
import pytest
from kit import served

pytest.importorskip("pyspark.sql.datasource", reason="PySpark is not installed")

from carecloud_async.spark import CareCloudDataSource
from carecloud_async.spark.settings import ReadSettings
from carecloud_async.spark.source import _WholeReader


class Busy:
    """Customers in the order of their ids; some are created and some deleted before each answer, anywhere.

    Attributes:
        ids: the customers.
        kept: those that were there all the time.
    """

    def __init__(self, length, *, changes, seed=1):
        self._dice = random.Random(seed)
        self._changes = changes
        self.ids = {self._new() for _ in range(length)}
        self.kept = set(self.ids)
        self.total = lambda: len(self.ids)

    def _new(self):
        return f"{self._dice.getrandbits(64):016x}"

    def answer(self, request):
        listed = sorted(self.ids)
        gone = set(self._dice.sample(listed, self._changes))
        self.ids = self.ids - gone | {self._new() for _ in gone}
        self.kept -= gone
        start, count = (int(request.url.params[name]) for name in ("offset", "count"))
        records = [{"customer_id": item} for item in listed[start : start + count]]
        return httpx.Response(200, json={"data": {"customers": records, "total_items": self.total()}})

    def reader(self, **options):
        options = {"resource": "customers", **options}
        schema = CareCloudDataSource(options).schema()
        connect = partial(served, self.answer, rate_limit=None)
        return _WholeReader(connect=connect, settings=ReadSettings.read(options), schema=schema)


def ids_of(reader, partition):
    return [item for batch in reader.read(partition) for item in batch["customer_id"].to_pylist()]


@pytest.mark.parametrize("seed", [0, 2])
def test_each_range_of_a_busy_list_has_what_stays(seed):
    """Two records are created and two deleted at each request: every record that stays is in one of six partitions."""
    server = Busy(3000, changes=2, seed=seed)
    reader = server.reader(partitions="6", count="50")
    partitions = reader.partitions()
    taken = [item for partition in partitions for item in ids_of(reader, partition)]
    assert len(partitions) == 6
    assert len(taken) == len(set(taken))
    assert server.kept <= set(taken)
    assert len(server.kept) < 3000 - 60
