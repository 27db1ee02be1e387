"""Answers with a record or a list: what arrives, and what is refused with which reason."""

import gc
import json
import os
import pickle
from dataclasses import dataclass
from datetime import date, datetime

import pytest
from attrs import frozen
from codec_records import QUICKSTART_CUSTOMER, answer, customer, page_of, read, records_of, reply
from every import every
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from carecloud_async import Customer, ResponseError
from carecloud_async.models import Store

COMPACT = {"separators": (",", ":")}
SECRET = "p3rs0nal"


def page(client, **options):
    return client.customers.list(count=20_000, **options).page()


async def records(listing):
    return [record async for record in listing]


async def lines(client):
    """The raw records of the customers."""
    return [record async for record in client.customers.list(count=20_000).raw()]


#: How a list is read: all at once, record by record, raw, and without a model.
READERS = {
    "page": page,
    "records": lambda client: records(client.customers.list(count=20_000)),
    "raw": lines,
    "open": lambda client: client.listing("members", into=dict).page(),
    "open, by key": lambda client: client.listing("members", into=dict, list_key="customers").page(),
}


def test_the_customer_of_the_quickstart_arrives():
    """It comes from a list and alone, its unreadable birthdate as None."""
    body = page_of([QUICKSTART_CUSTOMER], indent=2)
    got = reply(body, page)
    alone = reply(answer(QUICKSTART_CUSTOMER), lambda client: client.customers.get("8ea6"))
    assert (got.items, got.total_items, got.received) == ([alone], 1, 1)
    assert alone.last_change == datetime(2019, 6, 23, 11, 47, 22)  # noqa: DTZ001
    assert alone.personal_information.birthdate is None
    assert alone.personal_information.agreement.custom_agreements[0].agreement_value == 2


@given(
    st.lists(records_of(Customer, exact=True) | records_of(Customer, exact=False) | st.none(), max_size=6),
    st.sampled_from([COMPACT, {}, {"indent": 2}, {"indent": "\t"}, {"separators": (" , ", " : ")}]),
    st.booleans(),
    st.sampled_from([b"", b"\n", b"\r\n "]),
)
def test_a_record_is_the_same_however_it_is_read(some, style, ascii_only, end):
    """Exact or untidy, alone, in a page, in turn or raw, pretty or not: a list gives the records that it holds."""
    body = page_of(some, ensure_ascii=ascii_only, **style) + end

    async def ask(client):
        return {name: await reader(client) for name, reader in READERS.items()}

    got = reply(body, ask)
    known = [record for record in some if record is not None]
    assert got["records"] == got["page"].items == read(known, Customer)
    assert got["open"].items == got["open, by key"].items == as_read(known)
    assert [json.loads(line) for line in got["raw"]] == json.loads(body)["data"]["customers"]
    assert not any(b"\n" in line or b"\r" in line for line in got["raw"])
    assert got["page"].received == got["page"].total_items == len(some)


def as_read(value):
    """Values as plain JSON, with null for the zero dates."""
    return json.loads(json.dumps(value), object_hook=lambda record: {k: without_zero(v) for k, v in record.items()})


def without_zero(value):
    if isinstance(value, list):
        return [without_zero(record) for record in value]
    return None if isinstance(value, str) and value.startswith("0000-00-00") else value


@every("phone", ["420", 420])
def test_a_large_page_is_its_records(phone):
    """Thousands of records, exact or not, arrive in the server's order, at once, in turn and raw."""
    some = [customer(first_name=str(number), phone=phone) for number in range(1500)]
    body = page_of(some)

    async def ask(client):
        return (await page(client)).items, await records(client.customers.list(count=20_000)), await lines(client)

    whole, turn, raw = reply(body, ask)
    assert whole == turn
    assert [(record.personal_information.first_name, record.personal_information.phone) for record in whole] == [
        (str(number), "420") for number in range(1500)
    ]
    assert [json.loads(line) for line in raw] == some
    assert all(record.personal_information.birthdate == date(1985, 2, 12) for record in whole)


def test_a_page_after_one_with_misfits_is_read_right():
    """What was learnt from a page with misfits changes nothing in those after it."""
    exact, untidy = page_of([customer()] * 3), page_of([customer(), customer(phone=420), None])
    for body in (untidy, exact, exact, untidy, untidy, exact):
        known = [record for record in json.loads(body)["data"]["customers"] if record]
        assert reply(body, page).items == read(known, Customer)


def test_a_model_with_another_name_for_a_field_is_read_in_large_pages_too():
    """The opening hours of a store have a field that is a word of Python."""
    hours = [{"day_id": 1, "time_intervals": [{"from": "08:00", "to": "17:30"}]}]
    stores = [{"store_id": str(number), "name": "x" * 200, "opening": hours} for number in range(1000)]
    body = answer({"stores": stores, "total_items": 1000})
    got = reply(body, lambda client: records(client.stores.list(count=2000)))
    assert [record.store_id for record in got] == [record["store_id"] for record in stores]
    assert {record.opening[0].time_intervals[0].from_.hour for record in got} == {8}
    assert type(got[0]) is Store


TOTALS = [(7, 7), ("7", 7), (7.0, 7), (" 7 ", 7), (None, None), ("many", None), (-1, None), (True, None), ([], None)]


@every("total, expected", [*TOTALS, ({}, None)])
def test_total_items_is_a_number_or_none(total, expected):
    """A total that is no whole number is None, never an error; so is one that is missing."""
    body = answer({"customers": [], "total_items": total})
    assert reply(body, page).total_items == expected
    assert reply(answer({"customers": []}), page).total_items is None


EMPTY = [
    *[({"customers": empty, "total_items": 0}, 0) for empty in (None, "", [], {})],
    *[([], 0), ([], 40), ({"total_items": 0}, 0), ({"total_items": "0"}, 0), ({"total_items": 40}, 40)],
]


@every("data, offset", EMPTY)
def test_an_empty_page_may_be_written_in_many_ways(data, offset):
    """null, an empty text or object for the list, `"data": []`, and no list where the total says that none is left."""
    got = reply(answer(data), lambda client: page(client, offset=offset))
    assert (got.items, got.received) == ([], 0)
    assert got.total_items == (int(data["total_items"]) if data else None)


def test_an_object_in_place_of_the_list_is_its_values():
    """PHP writes a list with gaps as an object, whose numbers keep their spelling."""
    body = (
        b'{"data":{"customers":{"0":{"a":NaN,"b":1.50},"2":{"a":"\t","b":0.12345678901234567890}},"total_items":2.0}}'
    )
    assert reply(body, lines) == [b'{"a":null,"b":1.50}', b'{"a":"\\t","b":0.12345678901234567890}']
    assert reply(body, page).received == 2


NOT_JSON = "the body is not JSON"
REFUSED = {
    b"  ": "empty",
    b"<html>p3rs0nal": "HTML",
    b"\xef\xbb\xbf<!doctype html>": "HTML",
    b'{"data": {"customers": [p3rs0nal': NOT_JSON,
    b'"p3rs0nal"': "a string",
    b"[1]": "a list",
    b'{"errors": "p3rs0nal"}': "no `data`",
    b'{"data": null}': "null",
    b'{"data": [1]}': "a list",
    b'{"data": "p3rs0nal"}': "a string",
    b'{"data": ' + b"[" * 100_000: "nested too deeply",
}
OF_A_LIST = {
    b'{"data": {}}': r"no (list|`customers`) ",
    b'{"data": {"customers": 5, "x": 1}}': "(a number|no list)",
    b'{"data": {"total_items": "many"}}': r"no (list|`customers`) ",
    b'{"data": {"total_items": 5}}': "though total_items is 5",
    b'{"data": {"total_items": 0, "kunden": {"1": {}}}}': r"no (list|`customers`)",
}


@every("body, reason", [*REFUSED.items(), *OF_A_LIST.items()], ids=lambda body: repr(body[:40]))
def test_a_body_that_is_no_answer_is_refused(body, reason):
    """What is not `{"data": {…}}` with the list is an error with a short reason, and nothing of the content."""
    alone = {} if body in OF_A_LIST else {"get": lambda client: client.customers.get("8ea6")}
    for read_it in {**READERS, **alone}.values():
        with pytest.raises(ResponseError, match=reason) as caught:
            reply(body, read_it)
        error = caught.value
        assert SECRET not in f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@every("damage", [b'"state": \\x}]', b'"state": 1, }]', b'"state": 1}'])
def test_damage_is_found_before_anything_is_read(damage):
    """A page that is no JSON is refused as a whole, wherever it is damaged and however long it is."""
    for some in (20, 1500):
        body = page_of([customer()] * some).replace(b'"state": 1}]', damage)
        for read_it in READERS.values():
            with pytest.raises(ResponseError):
                reply(body, read_it)


DAMAGED = [
    (b'\xef\xbb\xbf{"data":{"customers":[{"customer_id":"x"}]}}', "x"),
    (b'{"data":{"customers":[{"customer_id":"x\xff"}]}}', "x\ufffd"),
    (b'{"data":{"customers":[{"customer_id":"x\\ud83d"}]}}', "x\ufffd"),
    (b'{"data":{"customers":[{"customer_id":"x\\ud83dy\\ude00"}]}}', "x\ufffdy\ufffd"),
    (b'{"data":{"customers":[{"customer_id":"\\ud83d\\ude00\\\\ud83d"}]}}', "\U0001f600\\ud83d"),
    (b'{"data":{"customers":[{"customer_id":"x\ty"}]}}', "x\ty"),
    (b'{"data":{"customers":[{"customer_id":"x","state":NaN,"new":[Infinity]}]}}', "x"),
    (b'{"data":{"customers":[{"customer_id":"x","state":1e999}]}}', "x"),
    (b'{"data":{"customers":[{"customer_id":"x","state":' + b"9" * 5000 + b"}]}}", "x"),
]


@every("body, expected", DAMAGED, ids=lambda body: repr(body[:60]))
def test_damaged_json_arrives(body, expected):
    """A BOM, bad UTF-8, lone surrogates, control characters, NaN and huge numbers cost no record."""
    for read_it in (READERS["page"], READERS["open"]):
        (got,) = reply(body, read_it).items
        assert (got["customer_id"] if isinstance(got, dict) else got.customer_id) == expected
    assert [json.loads(line, parse_int=str)["customer_id"] for line in reply(body, lines)] == [expected]
    alone = b'{"data":' + body[body.index(b"[") + 1 : -len(b"]}}")] + b"}"
    assert reply(alone, lambda client: client.customers.get("x")) == Customer(customer_id=expected)


@every("blank", [b"", b" ", b"\n  "])
def test_a_raw_record_is_spelled_as_the_server_wrote_it(blank):
    """Unknown fields, their order, repeated names, escapes and numbers are kept; only damaged text is replaced."""
    record = b'{"z":1.50,"a":1E5,"new":{"x":[-0,0.0,12345678901234567890.10]},"a":"\\u00e9\\/, :","z":2}'
    body = b'{"data":{' + blank + b'"customers":[' + blank + record + blank + b'],"total_items":1}}'
    assert reply(body, lines) == [record]
    body = b'{"data":{"customers":[{"a":%b1.50,"b":"\\ud83d"},{"a":1E5,%b"b":"\xff"}]}}' % (blank, blank)
    assert reply(body, lines) == [b'{"a":1.50,"b":"\\ufffd"}', '{"a":1E5,"b":"\ufffd"}'.encode()]
    assert {type(line) for line in reply(body, lines)} == {bytes}  # of their own, not views that keep the page


@every("letter", ["č", "€", "😀"])
def test_a_long_raw_page_keeps_its_characters(letter):
    """No character of a page is taken for damage, wherever it stands, and one bad byte harms no other."""
    for shift in range(4):
        text = "x" * shift + letter * 40_000
        body = answer({"customers": [{"a": text}]}, ensure_ascii=False, **COMPACT)
        assert json.loads(reply(body, lines)[0]) == {"a": text}
    for at in (0, 32_767, 32_768, 50_000, 70_000):
        bad = bytearray("é".encode() * 35_001)
        bad[at : at + 1] = b"\xff"
        got = reply(b'{"data":{"customers":[{"a":"%b"}]}}' % bytes(bad), lines)[0]
        assert json.loads(got)["a"] == bytes(bad).decode(errors="replace")


class Slot(BaseModel):
    """A pydantic class of the user's."""

    slot_id: str
    a: str | None = None


@frozen
class Row:
    """An attrs class of the user's."""

    slot_id: str
    a: str | None = None


@every("into", [dict, Row, Slot])
def test_any_type_is_read_in_pages_of_any_size(into):
    """Dicts, classes of one's own and pydantic models; zero dates are null in them, however they are written."""
    zero = b'{"slot_id":"s","a":"0000-00-00"},{"slot_id":"s","a":"\\u0030000-00-00 00:00:00"}'
    body = b'{"data":{"rows":[%b,null%b],"total_items":"2003"}}' % (zero, b',{"slot_id":"s","a":"x"}' * 2000)
    for key in ("rows", None):
        got = reply(body, lambda client, key=key: client.listing("rows", into=into, list_key=key).page())
        expected = [{"slot_id": "s", "a": None}] * 2 + [{"slot_id": "s", "a": "x"}] * 2000
        assert (got.items, got.received) == ([into(**record) for record in expected], 2003)
    body = answer({"rows": [{"slot_id": "s"}] * 40 + [{"slot_id": 5}]})
    if into is not dict:
        with pytest.raises(ResponseError, match=rf"does not fit {into.__name__}: .*slot_id"):
            reply(body, lambda client: client.listing("rows", into=into).page())


@every("data", [{"rows": [{}], "more": [1]}, {"rows": "x"}, ["x"], {"note": "x"}], ids=repr)
def test_odd_answers_of_an_unknown_list_are_refused(data):
    """Several lists, a text in place of one, or none at all: the error says what there is."""
    with pytest.raises(ResponseError, match=r"several lists \(more, rows\)|no list|is a list, not an object"):
        reply(answer(data), lambda client: client.listing("rows").page())


def collector_in(body):
    """Whether the garbage collector was on while the records of a body were made."""
    seen = []

    @dataclass
    class Mine:
        slot_id: str

        def __post_init__(self):
            seen.append(gc.isenabled())
            if self.slot_id == "fork":
                child = os.fork()
                if child == 0:
                    os._exit(0 if gc.isenabled() else 1)
                seen.append(os.waitpid(child, 0)[1])
            if self.slot_id == "bad":
                raise ValueError

    try:
        reply(body, lambda client: client.listing("rows", into=Mine).page())
    except ResponseError:
        seen.append("refused")
    return seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_garbage_collector_rests_while_records_are_made():
    """It is on again after a page, after an error and in a child forked meanwhile; one that was off stays off."""
    gc.enable()
    try:
        assert collector_in(answer({"rows": [{"slot_id": "a"}] * 2})) == [False, False]
        assert gc.isenabled()
        assert collector_in(answer({"rows": [{"slot_id": "bad"}]})) == [False, "refused"]
        assert gc.isenabled()
        assert collector_in(answer({"rows": [{"slot_id": "fork"}]})) == [False, 0]
        gc.disable()
        collector_in(answer({"rows": [{"slot_id": "a"}]}))
        assert not gc.isenabled()
    finally:
        gc.enable()
