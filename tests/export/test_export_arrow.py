"""Parquet's two ways of reading records: pyarrow's own for tidy batches, value by value for the others."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async._lists.export.formats.arrow import ArrowEncoder
from carecloud_async._lists.export.formats.schema import SchemaBuilder, shape_of
from carecloud_async._lists.export.formats.sinks import Layout
from carecloud_async.models import Customer

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
PRAGUE = ZoneInfo("Europe/Prague")
TIMESTAMPS = ["utc", "project"]


def read_together(made, lines):
    """Return the table that pyarrow's reader makes of records; `None` if it refuses one."""
    return made._typed(made._parse(lines))


def encoder(**more):
    return ArrowEncoder(Layout(into=Customer, fields={}, timezone=PRAGUE, **more), SchemaBuilder(Customer))


moments = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat(sep=" ")),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H:%M}"),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d %H}"),
    st.dates().map(str),
    st.sampled_from(
        ["2019-06-23 10:11:12Z", "2019-06-23 10:11:12+02:00", "2019-06-23T10:11:12-0500", "0000-00-00", ""]
    ),
    st.sampled_from([" 2019-06-23 10:11:12", "2019-06-23 24:00:00", "2019-02-30", "985-02-12", "20190623"]),
    st.sampled_from(["0000-01-01", "0000-06-15 10:11:12", "0001-01-01"]),
)
others = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
anything = st.recursive(others, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))
persons = st.fixed_dictionaries(
    {},
    optional={
        "birthdate": moments | others,
        "gender": st.integers() | others,
        "phone": st.text(max_size=9) | others,
        "address": st.fixed_dictionaries({}, optional={"city": st.text(max_size=9) | others}) | anything,
        "consents": st.lists(st.fixed_dictionaries({}, optional={"last_change": moments}), max_size=2) | anything,
        "nickname": anything,
    },
)
records = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": st.text(max_size=9) | others,
        "last_change": moments | others,
        "state": st.integers(-(2**64), 2**64) | others,
        "personal_information": persons | anything,
        "extra": anything,
    },
)


def lines_of(batch):
    return [json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") for record in batch]


@given(st.lists(records, min_size=1, max_size=3), st.sampled_from(TIMESTAMPS))
def test_both_ways_agree(batch, timestamps):
    """Values that pyarrow's reader accepts are read by the tolerant rules with the same result."""
    lines = lines_of(batch)
    made = encoder(timestamps=timestamps)
    fast = read_together(made, lines)
    if fast is not None:
        assert fast.equals(made._read_by_value(lines))
        assert not made.nulls


@given(st.lists(records, min_size=1, max_size=6))
def test_a_mixed_batch_is_what_its_records_are_alone(batch):
    """Tidy and untidy records of one batch become the same rows as each alone, in their order, and count the same."""
    lines = lines_of(batch)
    together, alone = encoder(), encoder()
    table = together.encode(lines)
    assert table.schema == together.schema
    assert table.equals(pa.concat_tables([alone.encode([line]) for line in lines]))
    assert together.nulls == alone.nulls


WITHOUT_PANDAS = """
import io, sys
from zoneinfo import ZoneInfo
from carecloud_async._lists.export.formats.arrow import ParquetSink
from carecloud_async._lists.export.formats.sinks import Layout
from carecloud_async.models import Customer

sink = ParquetSink(io.BytesIO(), Layout(into=Customer, fields={}, timezone=ZoneInfo("Europe/Prague")))
sink.write([b'{"last_change":"2019-06-23 11:47:22","personal_information":{"birthdate":"1985-02-12","consents":[{}]}}'])
sink.close()
assert "pandas" not in sys.modules
"""


def test_tidy_records_do_not_bring_pandas_in():
    """A tenth of a second and tens of megabytes are saved if pandas is installed but not used."""
    pytest.importorskip("pandas", reason="pandas is not installed")
    subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], check=True)


@given(records)
def test_the_unknown_part_is_a_part_of_the_record(record):
    """The text of the unknown fields is a part of the record as it stands."""
    (text,) = encoder().encode(lines_of([record])).column("unknown_fields").to_pylist()
    assert text is None or is_part(json.loads(text), json.loads(lines_of([record])[0]))


def is_part(part, whole):
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and is_part(inner, whole[name]) for name, inner in part.items())
    if isinstance(part, list):
        elements = list(whole.values()) if isinstance(whole, dict) else whole
        return len(part) == len(elements) and all(map(is_part, part, elements))
    return part is None or part == whole


def test_unknown_fields_stand_in_the_last_column():
    """Fields that the model does not know are JSON text, nested as they came; records without have null."""
    consents = [{"last_change": "2019-06-23 11:47:22"}, {"channel": 7}]
    person = {"loyalty": {"tier": 3}, "address": {"city": "Brno", "new": []}, "consents": consents, "extra": {"x": 1}}
    strange = {"customer_id": "1", "tags": ["a"], "personal_information": person}
    made = encoder()
    table = made.encode(lines_of([{"customer_id": "0"}, strange, {"customer_id": "2"}]))
    assert table.schema.names == [*shape_of(Customer).children, "unknown_fields"]
    texts = table.column("unknown_fields").to_pylist()
    assert [text and json.loads(text) for text in texts] == [
        None,
        {
            "tags": ["a"],
            "personal_information": {
                "loyalty": {"tier": 3},
                "extra": {"x": 1},
                "address": {"new": []},
                "consents": [None, {"channel": 7}],
            },
        },
        None,
    ]
    assert not made.nulls
    assert made.encode(lines_of([strange])).column("unknown_fields").null_count == 0


@pytest.mark.parametrize("extra", [{}, {"state": "1"}], ids=["tidy", "untidy"])
@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-07-01 12:00:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("2026-01-01 00:30:00", datetime(2025, 12, 31, 23, 30, tzinfo=UTC)),
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2040-07-01 12:00:00", datetime(2040, 7, 1, 10, tzinfo=UTC)),
    ],
    ids=["summer", "winter", "repeated", "left out", "far"],
)
def test_timestamps_are_utc(local, utc, extra):
    """Project-local times become UTC: the earlier where autumn repeats an hour, later where spring skips one."""
    consents = [{"last_change": local}, {}]
    record = {"last_change": local, "personal_information": {"consents": consents}, **extra}
    table = encoder().encode(lines_of([record]))
    assert str(table.schema.field("last_change").type) == "timestamp[us, tz=UTC]"
    assert table.column("last_change").to_pylist() == [utc]
    inner = table.column("personal_information").to_pylist()[0]["consents"]
    assert [consent["last_change"] for consent in inner] == [utc, None]
    naive = encoder(timestamps="project").encode(lines_of([record]))
    assert naive.column("last_change").to_pylist() == [datetime.fromisoformat(local)]


def test_lost_values_are_counted_and_named(caplog):
    """Values that no column can hold are counted by their dotted names, which warnings use as well; blanks are not."""
    lost = {
        "last_change": "0000-00-00 00:00:00",
        "state": 2**64,
        "personal_information": {"birthdate": "12.2.1985", "address": "Brno", "consents": [{"last_change": "soon"}]},
    }
    blank = {"last_change": "", "personal_information": {"birthdate": None, "address": []}}
    made = encoder()
    with caplog.at_level(logging.WARNING):
        made.encode(lines_of([lost, blank, lost, {"personal_information": "?"}]))
    assert made.nulls == {
        "last_change": 2,
        "state": 2,
        "personal_information": 1,
        "personal_information.birthdate": 2,
        "personal_information.address": 2,
        "personal_information.consents.last_change": 2,
    }
    assert "export." not in caplog.text


def test_a_zone_that_pyarrow_does_not_know_converts_too():
    """A system without a zone database for pyarrow gets the same times, more slowly."""

    class Unnamed(ZoneInfo):
        key = "No/Where"

    layout = Layout(into=Customer, fields={}, timezone=Unnamed.no_cache("Europe/Prague"))
    made = ArrowEncoder(layout, SchemaBuilder(Customer))
    table = made.encode(lines_of([{"last_change": "2026-07-01 12:00:00"}]))
    assert table.column("last_change").to_pylist() == [datetime(2026, 7, 1, 10, tzinfo=UTC)]
