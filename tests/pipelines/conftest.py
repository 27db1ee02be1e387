"""Fixtures of the tests of pipelines: a Redis, and nights of dlt into DuckDB from a sandbox."""

from datetime import UTC, datetime

import pytest
from clocks import InstantClock
from kit import connect
from redis_servers import redis_server  # noqa: F401  (a fixture)

from carecloud_async.sandbox import Sandbox


@pytest.fixture
def sandbox():
    sandbox = Sandbox(customers=60, seed=1, records=20)
    sandbox.clock.set(datetime(2026, 11, 20, 3, tzinfo=UTC))
    return sandbox


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("NORMALIZE__WORKERS", "1")
    monkeypatch.setenv("LOAD__WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    dlt = pytest.importorskip("dlt", reason="dlt is not installed")
    return dlt.pipeline(
        "nights",
        destination=dlt.destinations.duckdb(str(tmp_path / "nights.duckdb")),
        dataset_name="crm",
        pipelines_dir=str(tmp_path / "dlt"),
    )


@pytest.fixture
def night(sandbox, pipeline):
    """Run the pipeline; return the numbers of rows that it loaded, by table, and of requests."""
    from carecloud_async.dlt import carecloud_source

    def run(*lists, **options):
        sandbox.forget_requests()
        pipeline.run(
            carecloud_source(*lists, client=lambda: connect(sandbox, clock=InstantClock()), **options)
        ).raise_on_failed_jobs()
        counts = pipeline.last_trace.last_normalize_info.row_counts
        return {name: count for name, count in counts.items() if not name.startswith("_dlt")}, sandbox.count()

    return run
