"""CSV: the same row from every way to read a record, and the dialects of spreadsheets."""

import csv
import io
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import ConfigurationError
from carecloud_async._lists.export.formats.csv import CsvSink
from carecloud_async._lists.export.formats.sinks import Layout
from carecloud_async.export import CsvOptions
from carecloud_async.models import Credit, Customer, Voucher

awkward = [
    'a,b;"c"',
    "x\r\ny",
    "=1+1",
    "-5",
    "\u2028",
    "",
    "[1]",
    "]",
    "a,null,[null",
    "null",
    "\\",
    "\x01",
    "\x02\x7f",
    "\uff1d1",
]
delimiters = [*",;\t%1-ol {}[]:\\\x01\x02§\U0001f4a7"]
texts = st.text(max_size=9) | st.sampled_from(awkward)
others = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(others, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))
records = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": texts | others,
        "last_change": texts | others,
        "state": st.integers() | others,
        "personal_information": st.none()
        | anything
        | st.fixed_dictionaries(
            {},
            optional={
                "email": texts | others,
                "gender": st.integers() | others,
                "consents": anything,
                "address": anything,
            },
        ),
        "new": anything,
    },
)


def lines_of(rows_given):
    return [json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") for record in rows_given]


def write(lines, *, into=Customer, fields=None, **dialect):
    file = io.BytesIO()
    sink = CsvSink(file, Layout(into=into, fields=fields or {}, timezone=ZoneInfo("UTC"), csv=CsvOptions(**dialect)))
    sink.infer_schema(lines)
    sink.write(lines)
    sink.close()
    return file.getvalue(), sink


def rows_of(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def written_by_python(text, delimiter):
    """Read a file and write it again with Python's module."""
    again = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter)
    csv.writer(again, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return again.getvalue().encode()


def refuse(_):
    raise ValueError


def write_slowly(lines, layout, *, at_a_time):
    """Write every record value by value."""
    sink = CsvSink(io.BytesIO(), layout)
    sink.infer_schema(lines)
    sink._begin().decode = refuse
    for start in range(0, len(lines), at_a_time):
        sink.write(lines[start : start + at_a_time])
    sink.close()
    return sink.file.getvalue()


@given(
    st.lists(records, min_size=1, max_size=4),
    st.sampled_from(delimiters),
    st.booleans(),
    st.sampled_from([{}, {"customer_id": {}}, {"state": {}}, {"personal_information": {"consents": {}, "email": {}}}]),
)
def test_slots_and_values_give_the_same_rows(rows_given, delimiter, escape, fields):
    """Decoded straight into slots or read value by value, a record is the same row in every dialect."""
    lines = lines_of(rows_given)
    fast, sink = write(lines, fields=fields, delimiter=delimiter, escape_formulas=escape)
    assert not sink.outdated
    assert write_slowly(lines, sink.layout, at_a_time=1) == fast
    assert written_by_python(fast, delimiter) == fast
    again = write_slowly(lines * 3, sink.layout, at_a_time=5)
    sink.write(lines)
    sink.write(lines)
    assert sink.file.getvalue() == again


@given(st.lists(records, min_size=1, max_size=4))
def test_cells_are_what_the_server_sent(rows_given):
    """Text is written as the server sent it, and anything else as JSON."""
    lines = lines_of(rows_given)
    rows = rows_of(write(lines)[0])
    assert [row["customer_id"] for row in rows] == [as_sent(json.loads(line).get("customer_id")) for line in lines]


def as_sent(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


NUMBERS = ["0.12345678901234567890", "1e400", "-1E-400", "1.10", "1.0", "5E3", "-0.0", "12345678901234567890.5"]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_keep_their_digits(number):
    """A number is written as the server sent it, in columns of the model and others, in lists, and beside misfits."""
    line = f'{{"credit_id":"a","assigned_credits":{number},"new":{number},"list":[{number},{{"x":{number}}}]}}'.encode()
    odd = line.replace(b'"a"', b"7").replace(b'"new"', b'"source":"text","new"')
    wanted = [number, number, f'[{number},{{"x":{number}}}]']
    for row in rows_of(write([line, odd, line], into=Credit)[0]):
        assert [row[name] for name in ("assigned_credits", "new", "list")] == wanted


def test_a_value_in_the_place_of_an_object_is_counted():
    """A scalar in the place of an object is counted as lost, once a record; null and empty values are not."""
    rows_given = [
        {"customer_id": "a", "personal_information": value} for value in ("x", 5, [1], "", None, [], {}, {"email": "e"})
    ]
    rows_given.append({"customer_id": "a", "personal_information": {"address": "here"}})
    _, sink = write(lines_of(rows_given))
    assert sink.nulls == {"personal_information": 3, "personal_information.address": 1}
    _, sink = write(lines_of(rows_given), fields={"customer_id": {}, "state": {}})
    assert sink.nulls == {}


def test_a_spreadsheet_opens_it():
    """`CsvOptions.excel()` is semicolons, a byte order mark, and no formula that runs; numbers stay numbers."""
    names = ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\uff1d1", "plain", "a;b"]
    rows_given = [{"customer_id": name, "state": -1, "personal_information": {"gender": -2.5}} for name in names]
    excel = CsvOptions.excel()
    assert excel == CsvOptions(delimiter=";", bom=True, escape_formulas=True)
    text, _ = write(lines_of(rows_given), delimiter=";", bom=True, escape_formulas=True)
    assert text.startswith(b"\xef\xbb\xbfcustomer_id;personal_information.salutation;")
    rows = rows_of(text, ";")
    assert [row["customer_id"] for row in rows] == [*(f"'{name}" for name in names[:6]), "plain", "a;b"]
    assert {row["state"] for row in rows} == {"-1"}
    assert {row["personal_information.gender"] for row in rows} == {"-2.5"}


def test_decimals_that_the_server_writes_as_texts():
    """With `decimal=","` a text in a field of numbers has a comma too: with a point it would be read as thousands."""
    lines = [b'{"voucher_id":"v","value":"1.234","code":"1.234"}', b'{"voucher_id":"w","value":[],"code":"1.5"}']
    text, _ = write(lines, into=Voucher, fields={"value": {}, "code": {}}, delimiter=";", decimal=",")
    assert text.splitlines() == [b"value;code", b"1,234;1.234", b"[];1.5"]


def test_numbers_with_a_decimal_comma():
    """With `decimal=","` numbers have a comma and the server's digits; texts and lists stay as they are."""
    lines = [b'{"a": 1.50, "b": "1.50", "c": [1.5], "d": 2}', b'{"a": -0.25, "b": "", "c": [], "d": 1.5e3}']
    lines += [b'{"a": 1e-7, "b": null, "c": null, "d": 1e400}']
    text, _ = write(lines, into=dict, delimiter=";", decimal=",")
    assert text.decode().split("\r\n")[1:-1] == ["1,50;1.50;[1.5];2", "-0,25;;[];1500", "0,0000001;;;1e400"]
    text, _ = write(lines[:1], into=dict, decimal=",")
    assert text.decode().split("\r\n")[1] == '"1,50",1.50,[1.5],2'
    assert CsvOptions.excel(decimal=",") == CsvOptions(delimiter=";", bom=True, escape_formulas=True, decimal=",")
    with pytest.raises(ConfigurationError, match=r"decimal is '\.' or ','"):
        CsvOptions(decimal=";")


def test_a_name_of_a_column_is_no_formula_either():
    """A field that the server invents cannot run anything."""
    text, _ = write(lines_of([{"=1+1": "x"}]), escape_formulas=True)
    assert "'=1+1" in text.decode().splitlines()[0].split(",")


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", None, 3])
def test_a_delimiter_that_cannot_work_is_refused(delimiter):
    """The message says what a delimiter must be."""
    with pytest.raises(ConfigurationError, match="one character"):
        CsvOptions(delimiter=delimiter)


@pytest.mark.parametrize("rows_given", [[], [{}, {}]])
def test_a_file_without_a_column_has_a_line_for_each_record(rows_given):
    """Records without a field, of a list without a model, are empty lines below an empty header."""
    text, _ = write(lines_of(rows_given), into=dict)
    assert text == b"\r\n" * (1 + len(rows_given))
