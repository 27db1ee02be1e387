"""Partitions of a list that changes at every request, without a Spark session."""

import random

import pytest
from lists import hexes, numbered

pytest.importorskip("pyspark.sql.datasource", reason="PySpark is not installed")

from carecloud_async.spark import CareCloudDataSource
from carecloud_async.spark.settings import ReadSettings
from carecloud_async.spark.source import _WholeReader


@pytest.mark.parametrize("seed", [0, 2])
def test_each_range_of_a_busy_list_has_what_stays(seed):
    """Two records are created and two deleted at each request: every record that stays is in one of six partitions."""
    dice, fresh = random.Random(seed), iter(hexes(10_000, seed + 100))

    def change(server):
        for _ in range(2):
            server.delete(dice.randrange(len(server.records)))
            server.records.append((next(fresh), -server.requests))

    server = numbered(hexes(3000, seed), churn=change)
    start = server.names
    options = {"resource": "customers", "partitions": "6", "count": "50"}
    schema = CareCloudDataSource(options).schema()
    reader = _WholeReader(connect=server.client, settings=ReadSettings.read(options), schema=schema)
    partitions = reader.partitions()
    batches = [batch for partition in partitions for batch in reader.read(partition)]
    taken = [name for batch in batches for name in batch["customer_id"].to_pylist()]
    kept = start - {name for name, _ in server.gone}
    assert len(partitions) == 6
    assert len(taken) == len(set(taken))
    assert kept <= set(taken)
    assert len(kept) < 3000 - 60
