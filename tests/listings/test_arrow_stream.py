"""`listing.arrow_stream()`: a list for code without async, read by libraries that know Arrow's C stream."""

import asyncio
import importlib.util

import httpx
import pytest
from kit import DEVICE, HOST, connect
from lying import lie

from carecloud_async import CareCloud, ConfigurationError, CustomerSession, ExportError, FileTokenStore, NotFoundError
from carecloud_async.sandbox import Sandbox

pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.fixture
def sandbox():
    return Sandbox(customers=350)


def by_polars(stream):
    import polars

    return set(polars.DataFrame(stream)["customer_id"])


def by_duckdb(stream):
    import duckdb

    frame = stream.reader()  # a replacement scan finds it by its name
    assert frame is not None
    return {row[0] for row in duckdb.sql("SELECT customer_id FROM frame").fetchall()}


def by_pandas(stream):
    import pandas

    return set(pandas.DataFrame.from_arrow(stream)["customer_id"])


def by_pyarrow(stream):
    import pyarrow

    return set(pyarrow.table(stream)["customer_id"].to_pylist())


LIBRARIES = [by_polars, by_duckdb, by_pandas, by_pyarrow]


@pytest.mark.parametrize("read", LIBRARIES, ids=lambda read: read.__name__)
def test_libraries_read_a_list_in_one_line(sandbox, read):
    """polars, DuckDB, pandas and pyarrow get every record, and the report says that the reading is exact."""
    library = read.__name__.removeprefix("by_")
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    stream = connect(sandbox).customers.list().arrow_stream()
    assert len(read(stream)) == 350
    assert stream.report.exact
    assert stream.report.records == 350


def test_a_delta_table_is_written_from_the_stream(sandbox, tmp_path):
    """Delta Lake takes the stream as it is."""
    deltalake = pytest.importorskip("deltalake", reason="deltalake is not installed")
    stream = connect(sandbox).customers.list().arrow_stream(fields=["customer_id", "last_change"])
    deltalake.write_deltalake(str(tmp_path / "customers"), stream)
    assert deltalake.DeltaTable(str(tmp_path / "customers")).to_pyarrow_table().num_rows == 350


def test_each_reading_asks_the_server(sandbox):
    """The stream holds no records: read twice, it shows what is there now."""
    stream = connect(sandbox).customers.list().arrow_stream()
    assert len(by_pyarrow(stream)) == 350
    sandbox.customers.delete(sandbox.customers.id_at(7))
    assert len(by_pyarrow(stream)) == 349


def test_a_stream_works_where_a_loop_runs(sandbox):
    """In a notebook the client is in use in the loop that runs; the stream reads in another."""

    async def cell():
        async with connect(sandbox) as client:
            await client.ping()
            names = by_pyarrow(client.customers.list().arrow_stream())
            await client.ping()  # the client's own loop and connections are untouched
            return names

    assert len(asyncio.run(cell())) == 350


def test_a_token_file_is_shared(sandbox, tmp_path):
    """With a `FileTokenStore` the stream uses the token that is there; without one it logs in for itself."""
    client = connect(sandbox, token_store=FileTokenStore(tmp_path / "tokens"))
    asyncio.run(client.login())
    by_pyarrow(client.customers.list().arrow_stream())
    assert sandbox.count("POST /users/actions/login") == 1
    by_pyarrow(connect(sandbox).customers.list().arrow_stream())
    assert sandbox.count("POST /users/actions/login") == 2


def test_filters_fields_and_options_hold(sandbox):
    """The stream reads the list that it was made of, with the options of its view."""
    client = connect(sandbox).with_options(language="de")
    stream = client.customers.list(last_name="Smith").arrow_stream(fields=["personal_information.last_name"])
    import pyarrow

    table = pyarrow.table(stream)
    assert table.num_rows > 0
    assert set(table["personal_information"].combine_chunks().field("last_name").to_pylist()) == {"Smith"}
    assert {request.headers["accept-language"] for request in sandbox.requests if "customers" in request.path} == {"de"}


def test_leaving_early_ends_the_reading(sandbox):
    """A reader that is closed after one batch leaves no thread and no request behind."""
    stream = connect(sandbox).customers.list(count=100).arrow_stream(concurrency=1)
    reader = stream.reader()
    assert reader.read_next_batch().num_rows > 0
    reader.close()
    with pytest.raises(ExportError, match="not read to its end"):
        stream.report  # noqa: B018


def test_a_failure_is_kept(sandbox):
    """The library that reads raises an error of its own with the text, and `report` raises the error itself."""
    import pyarrow

    stream = connect(sandbox).customers.list().arrow_stream()
    sandbox.faults.add("GET /customers", status=404)
    with pytest.raises(pyarrow.ArrowException, match="404 on GET /customers"):
        by_pyarrow(stream)
    with pytest.raises(NotFoundError):
        stream.report  # noqa: B018
    assert len(by_pyarrow(stream)) == 350
    assert stream.report.exact


def test_a_list_that_is_emptied_names_what_a_stream_takes():
    """The error of a list that became empty while it was read names `allow_inexact`, and no option of exports."""
    sandbox = Sandbox(customers=300, seed=1)
    sandbox.on_page = lambda _: [sandbox.customers.delete(customer_id) for customer_id in [*sandbox.customers.ids()]]
    stream = connect(sandbox).customers.list(count=100).arrow_stream()
    with pytest.raises(Exception, match="the list is empty"):
        by_pyarrow(stream)
    with pytest.raises(ExportError, match=r"really deleted, pass allow_inexact=True$") as caught:
        stream.report  # noqa: B018
    assert "allow_shrink" not in str(caught.value)


def test_an_inexact_reading_fails_at_its_end(sandbox):
    """Records may be missing: that is an error, unless it is accepted."""
    lie(sandbox, total_items=450)
    client = connect(sandbox)
    stream = client.customers.list().arrow_stream()
    with pytest.raises(Exception, match="allow_inexact=True"):
        by_pyarrow(stream)
    with pytest.raises(ExportError, match="allow_inexact=True"):
        stream.report  # noqa: B018
    accepted = client.customers.list().arrow_stream(allow_inexact=True)
    assert len(by_pyarrow(accepted)) == 350
    assert not accepted.report.exact


def test_a_customer_is_not_logged_in_a_second_time(sandbox):
    """A second login would end the customer's session: the stream is refused, with the way that works."""
    session = CustomerSession(DEVICE, login_type="email", login_value="x@example.com", password="word")
    client = connect(sandbox, auth=session)
    with pytest.raises(ConfigurationError, match=r"async with listing.arrow\(\)"):
        client.customers.list().arrow_stream()


@pytest.mark.parametrize("setting", ["http_client", "transport"])
def test_connections_of_one_loop_are_refused(sandbox, setting):
    """A client or pool of the user's own cannot be used in a second event loop; the error names it."""
    own = httpx.AsyncClient() if setting == "http_client" else httpx.AsyncHTTPTransport()
    client = CareCloud(HOST, auth=sandbox.credentials(), **{setting: own})
    with pytest.raises(ConfigurationError, match=f"leave {setting} out"):
        client.customers.list().arrow_stream()
    asyncio.run(own.aclose())
