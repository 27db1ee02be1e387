"""Parquet's two ways of reading records: pyarrow's own for tidy batches, value by value for the others."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carecloud_async.export.formats.arrow import read_tidy
from carecloud_async.export.formats.parquet import _reader, _type
from carecloud_async.export.formats.schema import SchemaBuilder, shape_of
from carecloud_async.models import Customer

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
SHAPE = shape_of(Customer)
SCHEMA = pa.schema([(name, _type(child)) for name, child in SHAPE.children.items()])
READ = _reader(SHAPE, name="record")

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


def lines_of(found):
    return [json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") for record in found]


@settings(max_examples=400, deadline=None)
@given(st.lists(records, min_size=1, max_size=3))
def test_both_ways_agree(found):
    """What pyarrow's reader accepts, the lenient rules read the same, whatever the records hold."""
    lines = lines_of(found)
    fast = read_tidy(lines, SCHEMA)
    if fast is not None:
        assert fast.equals(pa.Table.from_pylist([READ(json.loads(line)) or {} for line in lines], schema=SCHEMA))


def test_tidy_records_are_read_the_fast_way():
    """A batch of tidy records, unknown fields among them, is accepted as a whole."""
    person = {"birthdate": "1985-02-12", "gender": 1, "consents": [{"last_change": "2019-06-23 11:47:22"}]}
    record = {"customer_id": "8ea6", "last_change": "2019-06-23 11:47:22", "personal_information": person, "new": [1]}
    assert read_tidy(lines_of([record] * 5), SCHEMA).num_rows == 5


@pytest.mark.parametrize("moment", ["2019-06-23 10:11:12+02:00", "0000-00-00 00:00:00", "0000-01-01", "", 1561283242])
def test_what_only_the_lenient_rules_can_read_is_left_to_them(moment):
    """An offset, a zero date or a number for a moment refuses the batch: nothing is shifted or lost."""
    assert read_tidy(lines_of([{"customer_id": "8ea6"}, {"last_change": moment}]), SCHEMA) is None


@settings(max_examples=200, deadline=None)
@given(records)
def test_known_records_teach_nothing(record):
    """Where a record is held to be known, learning it changes no type and adds no column."""
    line = lines_of([record])[0]
    if SchemaBuilder(Customer).knows(line):
        shape = shape_of(Customer)
        shape.learn(json.loads(line))
        assert pa.schema([(name, _type(child)) for name, child in shape.children.items()]) == SCHEMA


def test_an_unknown_field_is_never_overlooked():
    """At any depth, a field that the model does not know makes a record worth learning from."""
    builder = SchemaBuilder(Customer)
    assert builder.knows(b'{"customer_id":"8ea6","personal_information":{"address":{"city":"Brno"},"consents":[{}]}}')
    for line in (
        b'{"new":1}',
        b'{"personal_information":{"new":null}}',
        b'{"personal_information":{"address":{"new":[]}}}',
        b'{"personal_information":{"consents":[{},{"new":1}]}}',
    ):
        assert not builder.knows(line)
    assert not SchemaBuilder(dict).knows(b'{"customer_id":"8ea6"}')
