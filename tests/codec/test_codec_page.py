"""Pages and single records: what arrives, and what is refused with which reason."""

import json
import logging
import pickle
from datetime import date, datetime

import pytest
from codec_records import QUICKSTART_CUSTOMER, QUICKSTART_LOGIN, answer, customer, page_of

from carecloud_async._base import codec
from carecloud_async._base.codec import lists
from carecloud_async._base.codec.answers import refusal, success_refusal
from carecloud_async.models import Customer, UserLogin


def test_both_customers_of_the_quickstart_arrive():
    """The quickstart's customer arrives from a list and alone, its unreadable birthdate as None."""
    page = codec.page(page_of([QUICKSTART_CUSTOMER], indent=2), key="customers", into=Customer)
    alone = codec.record(answer(QUICKSTART_CUSTOMER), Customer)
    assert page.items == [alone]
    assert page.total_items == page.received == 1
    assert alone.customer_id == "8ea6abece4cd0a4ded0a29f093"
    assert alone.last_change == datetime(2019, 6, 23, 11, 47, 22)  # noqa: DTZ001
    assert alone.personal_information.birthdate is None
    assert alone.personal_information.address.address3 == ""
    assert alone.personal_information.agreement.custom_agreements[0].agreement_value == 2


def test_the_login_of_the_quickstart_arrives():
    """The numeric phone becomes text and the single role is among the roles."""
    login = codec.record(answer(QUICKSTART_LOGIN), UserLogin)
    assert login.bearer_token == QUICKSTART_LOGIN["bearer_token"]
    assert login.valid_to == "2023-01-04 10:31:56"
    assert login.user.phone == "420123828931"
    assert login.user.role_ids == ("86e05affc7a7befcd513ab400",)


def test_a_record_with_misfits_harms_no_other():
    """Exact records beside ones with misfits are read in full, in the server's order."""
    records = [customer(first_name=str(n), phone=n if n % 3 == 0 else str(n)) for n in range(10)]
    page = codec.page(page_of(records), key="customers", into=Customer)
    assert [item.personal_information.phone for item in page.items] == [str(n) for n in range(10)]
    assert all(item.personal_information.birthdate == date(1985, 2, 12) for item in page.items)


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (7, 7),
        ("7", 7),
        (7.0, 7),
        (" 7 ", 7),
        (None, None),
        ("many", None),
        (-1, None),
        (True, None),
        ([], None),
        ({}, None),
    ],
)
def test_total_items_is_a_number_or_none(total, expected):
    """A total that is no whole number is None, never an error."""
    body = answer({"customers": [], "total_items": total})
    assert codec.page(body, key="customers", into=Customer).total_items == expected
    assert codec.page(body, key="customers", into=bytes).total_items == expected


def test_a_missing_total_is_none():
    """A page without `total_items` has the total `None`."""
    assert codec.page(answer({"customers": []}), key="customers", into=Customer).total_items is None


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_absent_list_is_an_empty_page(empty):
    """null, an empty text and an empty object in place of the list are an empty page."""
    page = codec.page(answer({"customers": empty, "total_items": 0}), key="customers", into=Customer)
    assert (page.items, page.received) == ([], 0)


def test_an_object_in_place_of_the_list_is_its_values():
    """A list that PHP sent as an object is read as a list."""
    page = codec.page(answer({"customers": {"0": customer(), "2": customer()}}), key="customers", into=Customer)
    assert len(page.items) == 2


def test_null_records_are_left_out_but_counted():
    """A null among the records is dropped; `received` counts it, so that paging goes on rightly."""
    page = codec.page(page_of([None, customer()]), key="customers", into=Customer)
    assert (len(page.items), page.received) == (1, 2)


SECRET = "p3rs0nal"
MALFORMED = {
    b"": "empty",
    b"  ": "empty",
    b"<html>" + SECRET.encode(): "HTML",
    b"\xef\xbb\xbf<!doctype html>": "HTML",
    b'{"data": {"customers": [' + SECRET.encode(): "not JSON",
    b'"' + SECRET.encode() + b'"': "a string",
    b"[1]": "a list",
    b'{"error": "' + SECRET.encode() + b'"}': "no `data`",
    b'{"data": null}': "null",
    b'{"data": [1]}': "a list",
    b'{"data": "' + SECRET.encode() + b'"}': "a string",
    b'{"data": ' + b"[" * 100_000: "nested too deeply",
}


@pytest.mark.parametrize(("body", "reason"), MALFORMED.items())
def test_a_body_that_is_no_answer_is_refused(body, reason):
    """What is not `{"data": {…}}` raises Malformed with a short reason and no content, also not in its context."""
    for read in (
        lambda: codec.record(body, Customer),
        lambda: codec.page(body, key="customers", into=Customer),
        lambda: codec.page(body, key="customers", into=bytes),
    ):
        with pytest.raises(codec.Malformed, match=reason) as caught:
            read()
        assert SECRET not in str(caught.value)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"), [({}, "no `customers`"), ({"customers": 5}, "a number"), ({"customers": "x"}, "string")]
)
def test_a_page_without_its_list_is_refused(data, reason):
    """A page whose list is missing or no list raises Malformed and names the key."""
    for read in (
        lambda: codec.page(answer(data), key="customers", into=Customer),
        lambda: codec.page(answer(data), key="customers", into=bytes),
    ):
        with pytest.raises(codec.Malformed, match=reason):
            read()


def test_data_is_untyped():
    """`data` returns whatever stands there, null included."""
    assert codec.data(b'{"data": {"token_id": "x"}, "more": 1}') == {"token_id": "x"}
    assert codec.data(b'{"data": null}') is None
    with pytest.raises(codec.Malformed, match="no `data`"):
        codec.data(b"{}")


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


@pytest.mark.parametrize(("body", "expected"), DAMAGED)
def test_damaged_json_arrives(body, expected):
    """A BOM, bad UTF-8, lone surrogates, control characters, NaN and huge numbers cost no record."""
    page = codec.page(body, key="customers", into=Customer)
    assert page.items == [Customer(customer_id=expected)]
    raw = codec.page(body, key="customers", into=bytes).items
    assert [json.loads(record.decode(), parse_int=str)["customer_id"] for record in raw] == [expected]
    alone = b'{"data":' + body[body.index(b"[") + 1 : -len(b"]}}")] + b"}"
    assert codec.record(alone, Customer) == Customer(customer_id=expected)


def test_a_page_of_plain_objects():
    """`into` may be `dict`: untyped records for resources without a model."""
    assert codec.page(page_of([{"a": 1}]), key="customers", into=dict).items == [{"a": 1}]


def test_reading_logs_no_value(caplog):
    """Warnings about misfits never show them."""
    caplog.set_level(logging.DEBUG, logger="carecloud_async.codec")
    codec.record(answer({"personal_information": {"birthdate": SECRET, "gender": SECRET}}), Customer)
    assert SECRET not in caplog.text


def readers(data, *, offset=0):
    """Return the functions that read a list's page, known to the SDK and not."""
    body = answer(data)
    return (
        lambda: codec.page(body, key="customers", into=Customer, offset=offset),
        lambda: codec.unread_page(body, key="customers", into=Customer, offset=offset),
        lambda: codec.page(body, key="customers", into=bytes, offset=offset),
        lambda: codec.page(body, key=None, into=dict, offset=offset),
        lambda: codec.page(body, key=None, into=bytes, offset=offset),
    )


@pytest.mark.parametrize(
    ("data", "offset"),
    [([], 0), ([], 40), ({"total_items": 0}, 0), ({"total_items": "0"}, 0), ({"total_items": 40}, 40)],
)
def test_a_page_that_leaves_its_list_out_is_empty_where_the_total_agrees(data, offset):
    """`"data": []`, and a missing list where the total says that nothing comes at this offset, are an empty page."""
    for read in readers(data, offset=offset):
        page = read()
        assert page.received == 0
        assert page.total_items == (int(data["total_items"]) if data else None)


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        ({}, 0, r"no (list|`customers`)$"),
        ({"total_items": "many"}, 0, r"no (list|`customers`)$"),
        ({"total_items": 5}, 0, "though total_items is 5"),
        ({"total_items": 41}, 40, "though total_items is 41"),
        ({"total_items": 0, "kunden": {"1": {}}}, 0, r"no (list|`customers`)"),
    ],
)
def test_a_missing_list_is_no_empty_page_where_the_total_does_not_agree(data, offset, reason):
    """Without a total that agrees, an answer without its list is refused, as is one that holds something else."""
    for read in readers(data, offset=offset):
        with pytest.raises(codec.Malformed, match=reason):
            read()


@pytest.mark.parametrize(
    ("data", "form"),
    [
        ({"customers": [{}]}, lists.ListForm.LIST),
        ({"customers": {"3": {}}}, lists.ListForm.OBJECT),
        ({"customers": None}, lists.ListForm.NULL),
        ({"total_items": 0}, lists.ListForm.MISSING),
        ([], lists.ListForm.MISSING),
    ],
)
def test_split_page_tells_how_the_list_was_written(data, form):
    """`split_page` returns the form of the list, for a check of the project."""
    assert lists.split_page(answer(data), "customers").form is form


REFUSALS = [
    b'{"error": {"type": "about:blank", "title": "Access denied", "detail": "x", "error_data": {}}}',
    b'\xef\xbb\xbf {"error": {"exception": "not_found_exception"}}',
    b'{"error": {"title": "bad utf-8 \xff"}}',
    b'{"error": {}}',
]
FOREIGN = [
    b"",
    b"<html>404</html>",
    b"Not Found",
    b"{}",
    b"[]",
    b'{"error": "Not Found", "status": 404}',
    b'{"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}',
    b'{"error": null, "data": {}}',
    b'{"message": "no Route matched"}',
    b'{"error": {"title": "cut o',
]


@pytest.mark.parametrize("body", REFUSALS)
def test_a_refusal_of_the_api_is_recognized(body):
    """An `error` object with one of the API's members, or an empty one, is a refusal of CareCloud's own."""
    assert refusal(body) is not None
    assert success_refusal(body) is not None


@pytest.mark.parametrize("body", FOREIGN)
def test_other_bodies_are_no_refusal(body):
    """Pages, texts, and the JSON errors of other servers are none of CareCloud's refusals."""
    assert refusal(body) is None
    assert success_refusal(body) is None
