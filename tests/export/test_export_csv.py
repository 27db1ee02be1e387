"""CSV: the same row from every way to read a record, and the dialects of spreadsheets."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lists import sending
from thorough import examples

from carecloud_async import ConfigurationError
from carecloud_async.export import CsvOptions
from carecloud_async.models import Credit, Customer, Voucher

pytestmark = pytest.mark.anyio

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("csv")


@pytest.fixture(scope="module")
def write(folder):
    """Write a file of records, JSON or not, with a dialect; return its bytes and the values that were lost."""

    async def write(*rows, into=Customer, fields=None, **dialect):
        lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
        async with sending(*lines) as client:
            report = await client.listing("customers", into=into).export(
                folder / "c.csv", fields=fields, csv=CsvOptions(**dialect), overwrite=True
            )
        return (folder / "c.csv").read_bytes(), report.nulls

    return write


def rows_of(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def written_by_python(text, delimiter):
    """Read a file and write it again with Python's module."""
    again = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter)
    csv.writer(again, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return again.getvalue().encode()


@given(
    st.lists(records, min_size=1, max_size=4),
    st.sampled_from(delimiters),
    st.booleans(),
    st.sampled_from(
        [None, ["customer_id"], ["state"], ["personal_information.consents", "personal_information.email"]]
    ),
)
@settings(max_examples=examples(60))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_records_that_do_not_match_the_model_give_the_same_rows(
    write, anyio_backend, batch, delimiter, escape, fields
):
    """A record whose id is a number is read value by value, and becomes the same row, in every dialect."""
    del anyio_backend
    batch = json.loads(json.dumps(batch, ensure_ascii=False).encode("utf-8", "replace"))
    dialect = {"fields": fields, "delimiter": delimiter, "escape_formulas": escape}
    fast, nulls = await write(*({"customer_id": f"{n}", **row} for n, row in enumerate(batch)), **dialect)
    slow, nulls_of_slow = await write(*({"customer_id": n, **row} for n, row in enumerate(batch)), **dialect)
    assert (slow, nulls_of_slow) == (fast, nulls)
    assert written_by_python(fast, delimiter) == fast


@given(st.lists(texts | others, min_size=1, max_size=4, unique_by=repr))
@settings(max_examples=examples(60))
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_cells_are_what_the_server_sent(write, anyio_backend, values):
    """Text is written as the server sent it, and anything else as JSON."""
    del anyio_backend
    values = json.loads(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))
    text, _ = await write(
        *({"customer_id": f"{n}", "personal_information": {"email": value}} for n, value in enumerate(values))
    )
    assert [row["personal_information.email"] for row in rows_of(text)] == [as_sent(v) for v in values]


def as_sent(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


NUMBERS = ["0.12345678901234567890", "1e400", "-1E-400", "1.10", "1.0", "5E3", "-0.0", "12345678901234567890.5"]


@pytest.mark.parametrize("number", NUMBERS)
async def test_numbers_keep_their_digits(write, number):
    """A number is written as the server sent it, in columns of the model and others, in lists, and beside misfits."""
    line = f'{{"credit_id":"a","assigned_credits":{number},"new":{number},"list":[{number},{{"x":{number}}}]}}'.encode()
    odd = line.replace(b'"a"', b"7").replace(b'"new"', b'"source":"text","new"')
    text, _ = await write(line, odd, into=Credit)
    for row in rows_of(text):
        assert [row[name] for name in ("assigned_credits", "new", "list")] == [
            number,
            number,
            f'[{number},{{"x":{number}}}]',
        ]


async def test_a_value_in_the_place_of_an_object_is_counted(write):
    """A scalar in the place of an object is counted as lost, once a record; null and empty values are not."""
    people = ["x", 5, [1], "", None, [], {}, {"email": "e"}, {"address": "here"}]
    rows = [{"customer_id": f"{n}", "personal_information": person} for n, person in enumerate(people)]
    assert (await write(*rows))[1] == {"personal_information": 3, "personal_information.address": 1}
    assert (await write(*rows, fields=["customer_id", "state"]))[1] == {}


async def test_a_spreadsheet_opens_it(write):
    """`CsvOptions.excel()` is semicolons, a byte order mark, and no formula that runs; numbers stay numbers."""
    names = ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\uff1d1", "plain", "a;b"]
    rows = [{"customer_id": name, "state": -1, "personal_information": {"gender": -2.5}} for name in names]
    dialect = {"delimiter": ";", "bom": True, "escape_formulas": True}
    assert CsvOptions.excel() == CsvOptions(**dialect)
    assert CsvOptions.excel(decimal=",") == CsvOptions(**dialect, decimal=",")
    text, _ = await write(*rows, {"=1+1": "x"}, **dialect)
    assert text.startswith(b"\xef\xbb\xbfcustomer_id;personal_information.salutation;")
    assert "'=1+1" in text.decode().splitlines()[0].split(";")  # a field that the server invents cannot run anything
    *read, _ = rows_of(text, ";")
    assert [row["customer_id"] for row in read] == [*(f"'{name}" for name in names[:6]), "plain", "a;b"]
    assert {(row["state"], row["personal_information.gender"]) for row in read} == {("-1", "-2.5")}


async def test_decimals_that_the_server_writes_as_texts(write):
    """With `decimal=","` a text in a field of numbers has a comma too: with a point it would be read as thousands."""
    lines = [b'{"voucher_id":"v","value":"1.234","code":"1.234"}', b'{"voucher_id":"w","value":[],"code":"1.5"}']
    text, _ = await write(*lines, into=Voucher, fields=["value", "code"], delimiter=";", decimal=",")
    assert text.splitlines() == [b"value;code", b"1,234;1.234", b"[];1.5"]


async def test_numbers_with_a_decimal_comma(write):
    """With `decimal=","` numbers have a comma and the server's digits; texts and lists stay as they are."""
    lines = [b'{"a": 1.50, "b": "1.50", "c": [1.5], "d": 2}', b'{"a": -0.25, "b": "", "c": [], "d": 1.5e3}']
    lines += [b'{"a": 1e-7, "b": null, "c": null, "d": 1e400}']
    text, _ = await write(*lines, into=dict, delimiter=";", decimal=",")
    assert text.decode().split("\r\n")[1:-1] == ["1,50;1.50;[1.5];2", "-0,25;;[];1500", "0,0000001;;;1e400"]
    text, _ = await write(lines[0], into=dict, decimal=",")
    assert text.decode().split("\r\n")[1] == '"1,50",1.50,[1.5],2'


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        *(({"delimiter": wrong}, "one character") for wrong in ("", ";;", '"', "\n", "\r", None, 3)),
        ({"decimal": ";"}, r"decimal is '\.' or ','"),
    ],
)
def test_a_dialect_that_cannot_work_is_refused(dialect, words):
    """The message says what the sign must be."""
    with pytest.raises(ConfigurationError, match=words):
        CsvOptions(**dialect)


@pytest.mark.parametrize("rows", [[], [{}]])
async def test_a_file_without_a_column_has_a_line_for_each_record(write, rows):
    """Records without a field, of a list without a model, are empty lines below an empty header."""
    text, _ = await write(*rows, into=dict)
    assert text == b"\r\n" * (1 + len(rows))
