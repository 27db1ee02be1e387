"""Offsets of a stream, without a Spark session: where a batch could end, by servers that sort in different ways."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("pyspark.sql.datasource", reason="PySpark is not installed")
sys.path.append(str(Path(__file__).parents[1] / "export"))

from change_server import ChangeServer, hexes, old_times

from carecloud_async.spark.changes import ChangesReader
from carecloud_async.spark.settings import ReadSettings


def reader(server):
    return ChangesReader(connect=server.client, settings=ReadSettings.read({"resource": "customers"}), schema=None)


@pytest.mark.parametrize("kind", ["sorted", "nulls first", "not sorted"])
def test_a_stream_goes_on_wherever_records_without_a_time_stand(kind):
    """After a change the offset moves, also where the first record of the sorted list never has a time."""
    names = hexes(60)
    times = {**old_times(names[:50]), **dict.fromkeys(names[50:])}
    server = ChangeServer(times, nulls_first=kind == "nulls first", sorts=kind != "not sorted")
    stream = reader(server)
    before = stream.latestOffset()
    server.now += timedelta(hours=1)
    server.change(sorted(names[:50])[-1])
    assert stream.latestOffset() != before


def test_a_calm_stream_stays_where_it_is():
    """While nothing changes on a server that sorts, the offset stays, and no batch is made."""
    server = ChangeServer(old_times(hexes(60)))
    stream = reader(server)
    before = stream.latestOffset()
    server.now += timedelta(hours=1)
    assert stream.latestOffset() == before
    server.requests = 0
    assert stream.latestOffset() == before
    assert server.requests == 1
