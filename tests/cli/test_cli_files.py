"""The files of `carecloud export`: formats, dialects, columns, and the state of nights."""

import csv
import io
import json
from pathlib import Path

import pytest
from every import every
from lying import lie

OPTIONS = {
    "Excel": (["--excel"], ";", True),
    "another delimiter for Excel": (["--excel", "--delimiter", ","], ",", True),
    "tabs": (["--delimiter", "tab"], "\t", False),
    "a byte order mark": (["--bom"], ",", True),
    "formulas": (["--escape-formulas"], ",", False),
}


@pytest.mark.parametrize(("options", "delimiter", "bom"), OPTIONS.values(), ids=OPTIONS)
def test_dialects_of_csv(carecloud, tmp_path, options, delimiter, bom):
    """`--excel`, `--delimiter`, `--bom` and `--escape-formulas` write that dialect."""
    done = carecloud("export", "customers", "-o", "c.csv", "--sandbox", 4, *options)
    assert done.code == 0, done.err
    written = (tmp_path / "c.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf") is bom
    header, *rows = csv.reader(io.StringIO(written.decode("utf-8-sig")), delimiter=delimiter)
    assert header[0] == "customer_id"
    assert len(rows) == 4


def test_a_formula_stays_text(carecloud, project, tmp_path):
    """A name that a spreadsheet would run is written after an apostrophe with `--excel`."""
    first = project.customers.id_at(0)
    project.customers.update(first, {"personal_information": {"last_name": "=HYPERLINK(1)"}})
    fields = ("--fields", "customer_id,personal_information.last_name")
    done = carecloud("export", "customers", "-o", "c.csv", "--excel", *fields, "--filter", f"customer_ids={first}")
    assert done.code == 0, done.err
    assert f"{first};'=HYPERLINK(1)" in (tmp_path / "c.csv").read_text("utf-8-sig")


def test_csv_on_stdout(carecloud):
    """`-o - --format csv` prints CSV."""
    done = carecloud("export", "customers", "-o", "-", "--format", "csv", "--fields", "customer_id", "--sandbox", 3)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "customer_id"
    assert len(done.out.splitlines()) == 4


@pytest.mark.parametrize("target", [["night", "--format", "jsonl"], ["c.ndjson"]])
def test_a_format_by_another_name(carecloud, tmp_path, target):
    """`--format` says what a file holds whose name does not; `.ndjson` is another name of `.jsonl`."""
    done = carecloud("export", "customers", "-o", *target, "--sandbox", 3)
    assert done.code == 0, done.err
    assert len([json.loads(line) for line in (tmp_path / target[0]).read_bytes().splitlines()]) == 3


def test_columns_and_timestamps_of_parquet(carecloud, tmp_path):
    """`--columns found` leaves out what did not come, and `--timestamps project` the zone."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the parquet extra is not installed")
    command = ("export", "customers", "-o", "c.parquet", "--sandbox", 20, "--overwrite")
    assert carecloud(*command).code == 0
    model = parquet.read_schema(tmp_path / "c.parquet")
    assert carecloud(*command, "--columns", "found", "--timestamps", "project").code == 0
    narrow = parquet.read_schema(tmp_path / "c.parquet")
    assert ("unknown_fields" in model.names, "unknown_fields" in narrow.names) == (True, False)
    assert (str(model.field("last_change").type), str(narrow.field("last_change").type)) == (
        "timestamp[us, tz=UTC]",
        "timestamp[us]",
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_fields_take_every_column_of_the_file(carecloud, tmp_path, suffix):
    """The names of a file's columns, given to `--fields`, make the same file again."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    command = ("export", "customers", "--sandbox", 30, *(["--allow-unknown"] if suffix == "csv" else []))
    assert carecloud(*command, "-o", f"all.{suffix}").code == 0
    names = columns(tmp_path / f"all.{suffix}")
    done = carecloud(*command, "-o", f"again.{suffix}", "--fields", ",".join(names))
    assert done.code == 0, done.err
    assert columns(tmp_path / f"again.{suffix}") == names
    single = carecloud(*command, "-o", f"one.{suffix}", "--fields", names[-1])
    assert single.code == 0, single.err
    assert columns(tmp_path / f"one.{suffix}") == [names[-1]]


#: A file, the fields that are asked for, and what their refusal says.
NO_FIELDS = [
    ("c.jsonl", "last_change,custmer_id", "there is no field custmer_id: did you mean customer_id?"),
    ("c.csv", "last_change,zzz.email", "there is no field zzz"),
    ("c.jsonl", "customer_id,personal_information.emial", "emial: did you mean personal_information.email?"),
    ("c.parquet", "zzz", "there is no field zzz: fields that the SDK does not know are in unknown_fields"),
]


@every("name, fields, problem", NO_FIELDS)
def test_a_field_that_no_record_has_is_refused_before_anything_is_sent(carecloud, project, name, fields, problem):
    """A misspelt name in `--fields` is wrong usage; `--allow-unknown` takes a field that the SDK does not know."""
    if name == "c.parquet":
        pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    project.forget_requests()
    refused = carecloud("export", "customers", "-o", name, "--fields", fields)
    assert (refused.code, problem in refused.line, project.count()) == (2, True, 0), refused.line
    if name != "c.parquet":
        command = ("export", "customers", "-o", name, "--overwrite", "--allow-unknown")
        assert carecloud(*command, "--fields", "customer_id,loyalty_tier").code == 0


def columns(path):
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file))
    import pyarrow as pa
    import pyarrow.parquet as pq

    def leaves(field, prefix=""):
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_struct(kind):
            return [leaf for inner in kind for leaf in leaves(inner, f"{prefix}{field.name}.")]
        return [prefix + field.name]

    return [leaf for field in pq.read_schema(path) for leaf in leaves(field)]


def test_nights(carecloud, project, tmp_path):
    """With `--state` the first night writes everything, a calm one nothing, and one with a change that record alone."""
    command = ("export", "customers", "-o", "c.jsonl", "--overwrite", "--state", "state.json")
    first = carecloud(*command)
    assert first.code == 0, first.err
    assert first.line.startswith("250 customers in c.jsonl")
    assert first.line.endswith("; state.json keeps the time for the next run")
    calm = carecloud(*command)
    assert calm.line.startswith("0 customers in c.jsonl"), calm.err
    changed = project.customers.id_at(7)
    project.customers.update(changed, {"personal_information": {"last_name": "Changed"}})
    assert carecloud(*command).line.startswith("1 record of customers in c.jsonl")
    assert json.loads((tmp_path / "c.jsonl").read_bytes())["customer_id"] == changed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_night_whose_report_cannot_be_written_is_repeated(carecloud, project):
    """The mark moves last: after a command that failed, the same one writes the night's records again."""
    command = ("export", "customers", "-o", "c.jsonl", "--overwrite", "--state", "state.json")
    for _ in range(2):
        failed = carecloud(*command, "--report", "/dev/full")
        assert failed.code == 1, failed.err
    assert carecloud(*command).line.startswith("250 customers in c.jsonl")
    assert carecloud(*command).line.startswith("0 customers in c.jsonl")


def test_a_night_that_is_not_settled_keeps_its_state(carecloud, project):
    """The time for the next run moves only after a run whose guarantee holds."""
    lie(project, total_items=300)
    done = carecloud("export", "customers", "-o", "c.jsonl", "--state", "s.json")
    assert (done.code, done.err.endswith("; s.json is left as it was\n")) == (1, True)


@pytest.mark.parametrize("state", ["s.json", "memory://nights/s.json"])
def test_the_state_of_another_list(carecloud, project, state):
    """A state file of another export is refused, in the language of the command."""
    assert carecloud("export", "customers", "-o", "a.jsonl", "--state", state).code == 0
    refused = carecloud("export", "customers", "-o", "b.jsonl", "--state", state, "--filter", "last_name=Smith")
    assert refused.code == 1
    assert refused.line.startswith(state)
    assert "state=" not in refused.line
