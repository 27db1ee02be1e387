"""CareCloud as a destination of dlt: rows are written once, even if dlt tries again."""

import logging
import tracemalloc

import pytest
from kit import connect
from thorough import variants

from carecloud_async import ConfigurationError
from carecloud_async.bulk import BulkWriteError
from carecloud_async.sandbox import Sandbox

dlt = pytest.importorskip("dlt", reason="dlt is not installed")
typed_json = pytest.importorskip("dlt.common.json").json
carecloud_destination = pytest.importorskip("carecloud_async.dlt").carecloud_destination
destination = pytest.importorskip("carecloud_async.dlt.destination")
_Writer, _rows = destination._Writer, destination._rows

SOURCE = {"customer_source_id": "86e05affc7a7abefcd513ab400"}


@pytest.fixture
def sandbox():
    return Sandbox(customers=5, seed=1)


@pytest.fixture
def pipeline(tmp_path, monkeypatch, sandbox):
    """A pipeline into the sandbox, with folders of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")

    def make(**options):
        def client():
            return connect(sandbox)

        destination = carecloud_destination("customers", client=client, defaults=SOURCE, **options)
        return dlt.pipeline("into_carecloud", destination=destination, pipelines_dir=str(tmp_path / "dlt"))

    return make


def rows(number):
    return [{"email": f"dlt{item}@example.com", "language_id": "en", "first_name": "D"} for item in range(number)]


def emails(sandbox):
    records = map(sandbox.customers.get, sandbox.customers.ids())
    return [record["personal_information"]["email"] for record in records]


def test_rows_are_written(pipeline, sandbox):
    """The rows of a load package are created; the same rows in the next one change nothing."""
    pipeline(match="email").run(rows(20), table_name="customers")
    assert sum("dlt" in email for email in emails(sandbox)) == 20
    posts = sandbox.count("POST /customers")
    pipeline(match="email").run(rows(20), table_name="customers")
    assert sandbox.count("POST /customers") == posts


def test_refused_rows_are_in_the_log_that_dlt_shows(pipeline, caplog):
    """A load whose rows were refused ends well: its log says so, also where the application has set up no logging."""
    made, log = pipeline(match="email"), logging.getLogger("dlt")
    log.addHandler(caplog.handler)  # dlt's log does not propagate once a run has set it up
    try:
        made.run([{"email": "refused@example.com"}], table_name="customers")
    finally:
        log.removeHandler(caplog.handler)
    (warning,) = {
        record.getMessage() for record in caplog.records if record.name == "dlt" and record.levelname == "WARNING"
    }
    assert "customers: 1 rows were refused" in warning


def test_refused_rows_are_in_a_file_of_a_folder_that_is_made(pipeline, sandbox, tmp_path):
    """`rejects=` may name a folder that does not exist yet; it has one file for the load file with refused rows."""
    folder = tmp_path / "refused" / "rows"
    pipeline(match="email", rejects=str(folder)).run([{"email": "no address"}, *rows(2)], table_name="customers")
    (file,) = folder.glob("*.jsonl")
    assert "no address" in file.read_text("utf-8")
    assert sum("dlt" in email for email in emails(sandbox)) == 2


@pytest.mark.parametrize("match", ["email", *variants(None)])
def test_more_refused_rows_than_allowed_fail_the_load_until_more_are_allowed(pipeline, sandbox, monkeypatch, match):
    """The repetitions of dlt itself do not get past `max_refused`; its package is loaded with a higher number."""
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "2")
    bad = [{**row, "email": "no address"} for row in rows(2)]
    with pytest.raises(Exception, match="2 of 22 rows are refused"):
        pipeline(match=match, max_refused=1).run([*bad, *rows(20)], table_name="customers")
    pipeline(match=match, max_refused=2).load()
    assert sorted(email for email in emails(sandbox) if "dlt" in email) == sorted(row["email"] for row in rows(20))


@pytest.mark.parametrize(("column", "told"), [("e__mail", "e__mail"), ("e__mail", "e.mail")])
def test_a_column_may_be_named_as_dlt_names_it(pipeline, sandbox, column, told):
    """`columns` and `ignore_columns` take a column's own name, and the one with a dot for the double underscore."""
    row = {column: "own@example.com", "language_id": "en", "shoe__size": 3, "hat": 4}
    made = pipeline(match="email", columns={told: "email"}, ignore_columns=["shoe__size", "hat"])
    made.run([row], table_name="customers")
    assert "own@example.com" in emails(sandbox)


@pytest.mark.parametrize("match", ["email", None])
def test_a_package_that_fails_in_the_middle_makes_no_double(pipeline, sandbox, match):
    """A load that fails in the middle and is tried again by dlt has each row once."""
    made = pipeline(match=match)
    fault = sandbox.faults.add("POST /customers", status=403, times=None, after=7)
    with pytest.raises(Exception, match="PermissionDeniedError"):
        made.run(rows(20), table_name="customers")
    sandbox.faults.remove(fault)
    made.load()
    written = [email for email in emails(sandbox) if email.startswith("dlt")]
    assert len(written) == len(set(written))
    assert match is None or len(written) == 20


@pytest.fixture
def write(sandbox, tmp_path, monkeypatch):
    """Hand a file of rows over, as dlt does, also after a kill before its own note."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "1700000000.123" / "started_jobs" / "customers.1234abcd.0.typed-jsonl"
    file.parent.mkdir(parents=True)

    def write(*rows, **options):
        file.write_bytes(b"".join(typed_json.typed_dumpb([row]) + b"\n" for row in rows))
        options = {"match": "email", "mode": "upsert", "columns": {}, "defaults": SOURCE, **options}
        make = {"family": "customers", "of": (), "make_client": lambda: connect(sandbox), "rejects": None}
        _Writer(options=options, **make).write(file, "customers")

    return write


@pytest.mark.parametrize("match", ["email", None])
def test_a_file_that_was_written_is_not_written_again(write, sandbox, match):
    """A file that dlt hands over again, as after a kill before its own note, writes no row again."""
    for _ in range(3):
        write(*rows(20), match=match, max_refused=None)
    written = [email for email in emails(sandbox) if email.startswith("dlt")]
    assert len(written) == len(set(written)) == 20


@pytest.mark.parametrize(
    ("row", "wrong", "right"),
    [
        ({"email": "own@example.com"}, {"max_refused": 0}, {"defaults": {**SOURCE, "language_id": "en"}}),
        ({"mail": "own@example.com", "language_id": "en"}, {}, {"columns": {"mail": "email"}}),
    ],
)
def test_a_load_that_was_refused_goes_on_with_corrected_options(write, sandbox, tmp_path, row, wrong, right):
    """Rows with a key are written by the next attempt with other columns or defaults, once, and leave no journal."""
    with pytest.raises(BulkWriteError):
        write(row, **wrong)
    for _ in range(2):
        write(row, **right)
    assert emails(sandbox).count("own@example.com") == 1
    assert not [*(tmp_path / "state" / "carecloud-async-dlt").glob("*.db")]


def test_a_large_file_is_read_line_by_line(tmp_path):
    """Whether it is compressed shows in two bytes."""
    file = tmp_path / "customers.typed-jsonl"
    with file.open("wb") as opened:
        opened.write(b'{"email":"a@example.com"}\n' + b"\n" * (32 << 20))
    tracemalloc.start()
    try:
        assert next(_rows(file)) == {"email": "a@example.com"}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_nested_and_flat_names(pipeline, sandbox):
    """Nested objects stay nested, and dlt's double underscores are dots."""
    pipeline(match="email").run(
        [{"personal_information": {"email": "nested@example.com", "language_id": "en"}}], table_name="one"
    )
    pipeline(match="email").run(
        [{"personal_information__email": "flat@example.com", "personal_information__language_id": "en"}],
        table_name="two",
    )
    assert {"nested@example.com", "flat@example.com"} <= set(emails(sandbox))


def test_an_unknown_family_is_refused():
    """A family that cannot be written in bulk is an error that names those that can."""
    with pytest.raises(ConfigurationError, match="customers"):
        carecloud_destination("customer", match="email")


@pytest.mark.parametrize(("family", "of"), [("customers.addresses", ()), ("customers", ("c1",))])
def test_the_ids_of_the_parents_are_counted(family, of):
    """Too few or too many ids of parents are an error at once."""
    with pytest.raises(ConfigurationError, match="ids of the parents"):
        carecloud_destination(family, match="email", of=of)
