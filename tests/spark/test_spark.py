"""Spark itself, on Java: exact under change, with types, tasks that fail and streams."""

import contextlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from spark_absent import why_no_spark

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

if why_no_spark():
    pytest.skip(why_no_spark(), allow_module_level=True)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def session():
    """One small Spark; its tasks find the package and the credentials in the environment, and nowhere else."""
    from pyspark.sql import SparkSession

    from carecloud_async.spark import CareCloudDataSource

    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    patch.setenv("PYSPARK_PYTHON", sys.executable)
    patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    patch.setenv("CARECLOUD_EXTERNAL_APPLICATION_ID", USER_APPLICATION_ID)
    patch.setenv("CARECLOUD_LOGIN", USER_LOGIN)
    patch.setenv("CARECLOUD_PASSWORD", USER_PASSWORD)
    settings = {
        "spark.driver.memory": "512m",
        # No query runs often enough for Java's second compiler, which takes a third of the processor time.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2,4]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    spark.dataSource.register(CareCloudDataSource)
    yield spark
    spark.stop()
    patch.undo()


@pytest.fixture
def sandbox():
    sandbox = Sandbox(customers=600, seed=1, records=20)
    sandbox.clock.set(datetime(2026, 11, 20, 3, tzinfo=UTC))
    return sandbox


def source(reader, url, resource="customers", **options):
    reader = reader.format("carecloud").option("project_url", url).option("resource", resource)
    for name, value in options.items():
        reader = reader.option(name, value)
    return reader.load()


def test_no_record_that_stays_is_missing_and_none_comes_twice(session):
    """3,000 customers in six partitions while each page deletes two and inserts two."""
    sandbox = Sandbox(customers=3_000, seed=1)
    start, gone = set(sandbox.customers.ids()), set()

    def churn(_):
        for item in (3, 1_751):
            gone.add(victim := sandbox.customers.id_at(item))
            sandbox.customers.delete(victim)
            sandbox.customers.insert({"personal_information": {"last_name": "New"}})

    sandbox.on_page = churn
    with sandbox.running() as url:
        frame = source(session.read, url, partitions=6, count=125)
        rows = frame.selectExpr("customer_id", "spark_partition_id() AS part").collect()
    taken = [row.customer_id for row in rows]
    assert len({row.part for row in rows}) == 6
    assert len(gone) > 40
    assert len(taken) == len(set(taken))
    assert start - gone <= set(taken)
    assert not broken_rules(sandbox)


def processes_below(top):
    """Yield the processes that a process started, and those that these started: each id, its parent's and command."""
    below = {top}
    for entry in sorted((one for one in Path("/proc").iterdir() if one.name.isdigit()), key=lambda one: int(one.name)):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in below:
                below.add(int(entry.name))
                yield int(entry.name), parent, (entry / "cmdline").read_bytes()


def kill(processes):
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def kill_readers():
    """Kill the workers in which this Spark reads; it repeats their tasks in new ones."""
    python = {process: parent for process, parent, command in processes_below(os.getpid()) if b"daemon" in command}
    kill(process for process, parent in python.items() if parent in python)  # the daemon forks the workers


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes of Spark are looked for in /proc")
def test_a_read_beside_writers_that_is_killed_is_read_again(session, tmp_path):
    """Spark is killed whole beside writers, its workers in the next read: what stays is there once, or an error is."""
    sandbox, target = Sandbox(customers=6_000, seed=1), str(tmp_path / "out")
    gone, pages, kills = set(), [], []

    def churn(_):
        pages.append(None)
        for place in (3, 3_001):
            gone.add(victim := sandbox.customers.id_at(place))
            sandbox.customers.delete(victim)
            sandbox.customers.insert({"personal_information": {"last_name": "New"}})
        sandbox.customers.update(sandbox.customers.id_at(2_000), {"state": 0})
        if len(pages) == 40:
            kills.pop()()

    sandbox.on_page = churn
    with sandbox.running() as url:
        command = [sys.executable, Path(__file__).with_name("spark_child.py"), url, target]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            kills.append(lambda: kill([child.pid, *(process for process, *_ in processes_below(child.pid))]))
            assert child.wait(timeout=600) == -signal.SIGKILL
        assert not Path(target, "_SUCCESS").exists()
        gone.clear()
        start = set(sandbox.customers.ids())
        pages.clear()
        kills.append(kill_readers)
        frame = source(session.read, url, partitions=6, count=100).select("customer_id")
        try:
            frame.write.mode("overwrite").parquet(target)
        except Exception as error:  # noqa: BLE001  (Java's, with the text of ours)
            assert "customers was not read exactly: " in str(error)  # noqa: PT017
            return
        found = [row.customer_id for row in session.read.parquet(target).collect()]
    assert not kills
    assert len(gone) > 80
    assert len(found) == len(set(found))
    assert start - gone <= set(found)


def test_a_task_that_fails_once_changes_nothing(session, sandbox):
    """A task that fails once reads its range again in its second attempt, and every record is there once."""
    # The driver needs one page for the number of records, and six for the bounds.
    sandbox.faults.add("GET /customers", status=403, after=12, times=1)
    with sandbox.running() as url:
        rows = source(session.read, url, partitions=6, count=20).select("customer_id").collect()
    assert sandbox.statuses[403] == 1
    assert sorted(row.customer_id for row in rows) == sorted(sandbox.customers.ids())


def test_columns_are_timestamps_and_structs(session, sandbox):
    """The columns are the model's, with a project-local time as the instant that it was."""
    from pyspark.sql.types import DateType, StringType, StructType, TimestampType

    customer_id = sandbox.customers.id_at(0)
    sandbox.customers.update(customer_id, {"last_change": "2026-07-01 12:00:00", "shoe_size": 43})
    with sandbox.running() as url:
        frame = source(session.read, url, partitions=3, count=100)
        kinds = {field.name: field.dataType for field in frame.schema}
        row = (
            frame.where(frame.customer_id == customer_id)
            .selectExpr(
                "unix_micros(last_change) AS micros", "personal_information.last_name AS name", "unknown_fields"
            )
            .first()
        )
    assert isinstance(kinds["last_change"], TimestampType)
    assert isinstance(kinds["personal_information"], StructType)
    inner = {field.name: field.dataType for field in kinds["personal_information"]}
    assert isinstance(inner["birthdate"], DateType)
    assert isinstance(kinds["unknown_fields"], StringType)
    assert row.micros == int(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp()) * 1_000_000
    assert row.name == sandbox.customers.get(customer_id)["personal_information"]["last_name"]
    assert row.unknown_fields == '{"shoe_size":43}'


def test_a_list_that_cannot_be_split_is_one_partition(session, sandbox):
    """A list without pages is read whole by one task; so is a short one."""
    with sandbox.running() as url:
        languages = source(session.read, url, "languages", partitions=4)
        cards = source(session.read, url, "cards", partitions=4)
        for frame in (languages, cards):
            assert len(frame.collect()) == 20
            assert frame.rdd.getNumPartitions() == 1


def timeless(sandbox):
    """Return the customers whose `last_change` is null: each reading by change has them."""
    taken = map(sandbox.customers.get, sandbox.customers.ids())
    return [item["customer_id"] for item in taken if item["last_change"] is None]


def test_filters_and_changes(session, sandbox):
    """`filter.NAME` narrows the list, `changed_since` reads what changed, and what has no time."""
    name = sandbox.customers.get(sandbox.customers.id_at(0))["personal_information"]["last_name"]
    changed = [sandbox.customers.id_at(index) for index in (5, 50, 500)]
    for item in changed:
        sandbox.customers.update(item, {"state": 0})
    with sandbox.running() as url:
        smiths = source(session.read, url, **{"filter.last_name": name}).collect()
        rows = source(session.read, url, changed_since="2026-11-20T03:00+00:00").select("customer_id").collect()
    assert 0 < len(smiths) < 600
    assert {row.personal_information.last_name for row in smiths} == {name}
    assert sorted(row.customer_id for row in rows) == sorted({*changed, *timeless(sandbox)})


def test_plans_hold_no_secret(session, sandbox):
    """The password stands in no plan, no option and no configuration, and is refused as an option."""
    with sandbox.running() as url:
        frame = source(session.read, url)
        plan = frame._jdf.queryExecution().toString()
    assert USER_PASSWORD not in plan
    assert USER_PASSWORD not in str(session.sparkContext.getConf().getAll())
    with pytest.raises(Exception, match="set CARECLOUD_PASSWORD in the environment") as caught:
        source(session.read, url, password=USER_PASSWORD)
    assert USER_PASSWORD not in str(caught.value)


def test_a_stream_brings_all_then_nothing_then_what_changed(session, sandbox, tmp_path):
    """Each run goes on from the offset in the checkpoint; a change comes with one batch, what has no time with each."""
    with sandbox.running() as url:

        def night():
            before = session.read.parquet(str(tmp_path / "out")).count() if (tmp_path / "out").exists() else 0
            query = (
                source(session.readStream, url, partitions=2, count=100)
                .select("customer_id", "last_change")
                .writeStream.format("parquet")
                .option("path", str(tmp_path / "out"))
                .option("checkpointLocation", str(tmp_path / "checkpoint"))
                .trigger(availableNow=True)
                .start()
            )
            query.awaitTermination()
            return session.read.parquet(str(tmp_path / "out")).count() - before

        assert night() == 600
        sandbox.advance(3600)
        blank = timeless(sandbox)
        assert night() == len(blank)
        changed = [sandbox.customers.id_at(index) for index in (5, 50, 500)]
        for item in changed:
            sandbox.customers.update(item, {"state": 0})
        changed = [item for item in changed if item not in blank]
        assert night() == len(timeless(sandbox))  # the changes are too new to be sure that the list shows them all
        sandbox.advance(7200)
        assert night() == len(changed) + len(timeless(sandbox))
        rows = session.read.parquet(str(tmp_path / "out")).groupBy("customer_id").count().where("count > 1").collect()
    assert {row.customer_id for row in rows} - set(blank) == set(changed)
