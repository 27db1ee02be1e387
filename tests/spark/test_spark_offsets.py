"""Offsets of a stream, without a Spark session: where a batch could end, by servers that sort in different ways."""

from datetime import timedelta
from functools import partial

import pytest

pytest.importorskip("pyspark.sql.datasource", reason="PySpark is not installed")

from lists import SPELLINGS, ChangeServer, SpellingServer, hexes, old_times

from carecloud_async.errors import ExportError
from carecloud_async.spark import CareCloudDataSource
from carecloud_async.spark.settings import ReadSettings
from carecloud_async.spark.source import ChangesReader, _WholeReader


def reader(server, *, timezone="Europe/Prague", **more):
    options = {"resource": "customers", **more}
    schema = CareCloudDataSource(options).schema()
    connect = partial(server.client, timezone=timezone)
    return ChangesReader(connect=connect, settings=ReadSettings.read(options), schema=schema)


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
    assert server.requests == 2


def test_a_sort_that_answers_in_the_order_of_ids_does_not_stop_the_stream():
    """Where `sort_field=last_change` gives the order of ids, an old first record is no proof that nothing changed."""
    names = sorted(hexes(60))
    server = ChangeServer(old_times(names, apart=timedelta(minutes=7)), sorts=False, default=lambda record: record)
    listed = server.listed
    # Without a sort the list has another order: the difference alone looks as if the sort were applied.
    server.listed = lambda field, falling: (
        listed(field, falling) if field else sorted(names, key=lambda record: record[::-1])
    )
    stream = reader(server)
    before = stream.latestOffset()
    for item in (names[30], names[40]):
        server.now += timedelta(hours=2)
        server.change(item)
        after = stream.latestOffset()
        assert after != before
        before = after


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_stream_loses_no_change_however_times_are_spelled(spelling):
    """A record that changed after a batch is in a later one, whatever its `last_change` looks like."""
    names = hexes(60)
    server = SpellingServer(names, spelling)
    stream = reader(server)
    begin = stream.initialOffset()
    end = stream.latestOffset()
    assert set(rows(stream, begin, end)) == set(names)
    server.now += timedelta(minutes=10)
    server.change(names[7], names[50])
    taken = []
    for _ in range(3):
        server.now += timedelta(minutes=50)
        begin, end = end, stream.latestOffset()
        taken += rows(stream, begin, end)
    assert {names[7], names[50]} <= set(taken)


def rows(stream, begin, end):
    batches = [batch for partition in stream.partitions(begin, end) for batch in stream.read(partition)]
    return [item for batch in batches for item in batch.column("customer_id").to_pylist()]


@pytest.mark.parametrize("partitions", ["1", "8"])
def test_a_short_list_that_is_emptied_after_it_was_planned_is_no_empty_table(partitions):
    """A list of one page that had records when the read was planned fails its task while it is empty."""
    options = {"resource": "customers", "partitions": partitions}
    server = ChangeServer(old_times(hexes(60)))
    schema = CareCloudDataSource(options).schema()
    whole = _WholeReader(connect=server.client, settings=ReadSettings.read(options), schema=schema)
    (partition,) = whole.partitions()
    times, server.times = server.times, {}
    with pytest.raises(ExportError):
        [*whole.read(partition)]
    server.times = times
    assert sum(batch.num_rows for batch in whole.read(partition)) == 60


@pytest.mark.parametrize("batch", ["first", "later"])
def test_an_empty_list_is_no_batch_without_changes(batch):
    """A list that had records when the batch was planned and is empty when it is read fails the batch."""
    names = hexes(60)
    server = ChangeServer(old_times(names))
    stream = reader(server)
    begin, end = stream.initialOffset(), stream.latestOffset()
    if batch == "later":
        server.now += timedelta(hours=1)
        server.change(names[7])
        server.now += timedelta(minutes=10)
        begin, end = end, stream.latestOffset()
    times, server.times = server.times, {}
    partitions = stream.partitions(begin, end)
    with pytest.raises(ExportError):
        [*stream.read(partitions[0])]
    server.times = times
    assert names[7] in rows(stream, begin, end)


@pytest.mark.parametrize("batch", ["first", "later"])
def test_a_stream_that_is_restarted_while_its_list_is_empty_loses_no_change(batch):
    """A restarted stream knows that its list had records: a batch of the empty one fails until they are back."""
    names = hexes(60)
    server = ChangeServer(old_times(names))
    stream = reader(server)
    begin, end = stream.initialOffset(), stream.latestOffset()
    server.now += timedelta(hours=1)
    server.change(names[7])
    server.now += timedelta(hours=3)
    times, server.times = server.times, {}
    stream = reader(server)
    if batch == "later":
        begin, end = end, stream.latestOffset()
    partitions = stream.partitions(begin, end)
    with pytest.raises(ExportError):
        [*stream.read(partitions[0])]
    server.times = times
    taken = rows(reader(server), begin, end)
    assert names[7] in taken if batch == "later" else len(taken) == 59


@pytest.mark.parametrize(
    ("options", "word"), [({"filter.last_name": "Smith"}, "filters differ"), ({"timezone": "UTC"}, "timezone differs")]
)
def test_a_stream_that_is_restarted_with_other_options_is_refused(options, word):
    """What other filters show, or another zone puts before the offset, would never come: the error names it."""
    server = ChangeServer(old_times(hexes(60)))
    begin = reader(server).latestOffset()
    server.now += timedelta(hours=1)
    stream = reader(server, **options)
    end = stream.latestOffset()
    with pytest.raises(ExportError, match=f"its .*{word}"):
        stream.partitions(begin, end)
    assert reader(server, count="100").partitions(begin, reader(server).latestOffset())
