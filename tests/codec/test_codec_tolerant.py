"""The tolerant rules, one by one."""

import logging
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Generic, TypeVar

import pytest
from attrs import frozen

from carecloud_async._base import codec
from carecloud_async._base.codec import field_warnings as trouble
from carecloud_async.models import (
    Address,
    Agreement,
    Consent,
    CustomAgreement,
    Customer,
    Gender,
    PersonalInformation,
    PropertyRecord,
    User,
)

T = TypeVar("T")


@frozen(kw_only=True)
class Sample:
    text: str | None = None
    number: int | None = None
    amount: float | None = None
    flag: bool | None = None
    day: date | None = None
    moment: datetime | None = None
    texts: tuple[str, ...] = ()
    open_texts: tuple[str | None, ...] = ()


@pytest.fixture(autouse=True)
def fresh_reports(monkeypatch):
    monkeypatch.setattr(trouble, "_reported", set())


def read(field, value):
    return getattr(codec.structure({field: value}, Sample), field)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("", ""), (" x ", " x "), (None, None), (420, "420"), (-1, "-1"), (True, "true"), (False, "false")),
        *((420123828931.0, "420123828931"), (1.5, "1.5"), (1e22, "10000000000000000000000"), (1e-7, "0.0000001")),
        *(([], None), ({}, None), (["x"], None), (float("nan"), None)),
    ],
)
def test_texts(value, expected):
    """Text stays exactly as sent, a number becomes its digits, a list or object is lost."""
    assert read("text", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("1", 1), (" 12 ", 12), ("-3", -3), ("1.0", 1), (2.0, 2), (99, 99), (None, None), ("", None)),
        *(("1_0", None), ("x", None), ("1.5", None), (2.5, None), (True, None), ("true", None), ([], None), ({}, None)),
        *(("\u0663", None), (float("inf"), None), ("9" * 5000, None)),
    ],
)
def test_whole_numbers(value, expected):
    """A whole number may come as text or float; nothing else becomes a number, least of all a boolean."""
    found = read("number", value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.5", 1.5),
        (2, 2.0),
        (0.1, 0.1),
        ("1e3", 1000.0),
        ("", None),
        ("nan", None),
        ("1_0", None),
        (True, None),
        (10**400, None),
    ],
)
def test_amounts(value, expected):
    """A finite number may come as text."""
    found = read("amount", value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((True, True), ("true", True), ("TRUE", True), ("1", True), (1, True), (1.0, True)),
        *((False, False), ("false", False), ("False", False), ("0", False), (0, False)),
        *((None, None), ("", None), ("no", None), ("yes", None), (2, None), ([], None), ({}, None), ("0.0", None)),
    ],
)
def test_booleans(value, expected):
    """`"false"` and `"0"` never become True, and what is neither is None."""
    assert read("flag", value) is expected


@pytest.mark.parametrize(
    "value", ["", None, "985-02-12", "0000-00-00", "0000-00-00 00:00:00", "2019-13-45", "x", 0, 1, [], {}]
)
def test_unreadable_dates(value):
    """What is no date is None, as a date and as a timestamp."""
    assert read("day", value) is None
    assert read("moment", value) is None


@pytest.mark.parametrize(
    "value", ["2019-06-23", "2019-06-23 11:47:22", "2019-06-23T11:47:22Z", "2019-06-23 11:47", " 2019-06-23 "]
)
def test_dates_with_a_time(value):
    """A date that comes with a time is its day."""
    assert read("day", value) == date(2019, 6, 23)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2019-06-23", datetime(2019, 6, 23)),  # noqa: DTZ001
        ("2019-06-23 11:47", datetime(2019, 6, 23, 11, 47)),  # noqa: DTZ001
        ("2019-06-23T11:47:22+02:00", datetime(2019, 6, 23, 11, 47, 22)),  # noqa: DTZ001
        ("2019-06-23 11:47:22Z", datetime(2019, 6, 23, 11, 47, 22)),  # noqa: DTZ001
        ("2019-06-23 11:47:22.5", datetime(2019, 6, 23, 11, 47, 22, 500000)),  # noqa: DTZ001
    ],
)
def test_timestamps_are_naive(value, expected):
    """A date is its midnight; an offset is dropped and the wall clock kept, also on the fast path's models."""
    assert read("moment", value) == expected
    assert codec.record(b'{"data": {"last_change": "%s"}}' % value.encode(), Customer).last_change == expected


@pytest.mark.parametrize("value", [None, "", [], {}, "x", 5, ["x"]])
def test_an_object_is_never_none(value):
    """Where an object is due, anything else is an empty one."""
    assert codec.structure({"personal_information": value}, Customer) == Customer(customer_id="")
    assert codec.structure({"address": value}, PersonalInformation).address == Address()
    assert codec.structure(value, Address) == Address()


@pytest.mark.parametrize("value", [None, "", {}, "x", 5, {"0": "x"}, [None], ["x"], {"a": {}, "b": 1}])
def test_a_list_of_objects_is_never_none(value):
    """Where a list of objects is due, anything else is empty, and what is no object in it is left out."""
    assert codec.structure({"consents": value}, PersonalInformation).consents == ()


def test_a_list_sent_as_an_object():
    """PHP sends a list with gaps as an object: its values are read, and `[]` for an empty object is one."""
    assert codec.structure({"consents": {"0": {"consent_id": "a"}, "7": {}}}, PersonalInformation).consents == (
        Consent(consent_id="a"),
        Consent(),
    )
    assert codec.structure({"custom_agreements": [[], None]}, Agreement).custom_agreements == (CustomAgreement(),)
    assert codec.structure({"user_role_ids": {"0": "a", "2": 5}}, User).user_role_ids == ("a", "5")


def test_nulls_in_lists():
    """A null in a list of texts is left out, unless the list may hold it."""
    assert read("texts", ["a", None, 5]) == ("a", "5")
    assert read("open_texts", ["a", None]) == ("a", None)


def test_unknown_numbers_are_kept():
    """A value that no enum knows yet stays as the server sent it."""
    assert codec.structure({"state": 17}, Customer).state == 17


def test_open_values_are_kept():
    """A property's value stays as it is, whatever its kind."""
    for value in ("x", 1, 1.5, True, None, [1, "a"], {"a": []}):
        assert codec.structure({"property_value": value}, PropertyRecord).property_value == value


def test_instances_are_taken_as_they_are():
    """A model inside plain values is kept, not copied."""
    address = Address(city="Praha")
    assert codec.structure({"address": address}, PersonalInformation).address is address


def test_generic_and_list_types():
    """Lists, tuples and generic models can be structured too."""

    @frozen(kw_only=True)
    class Batch(Generic[T]):
        items: tuple[T, ...] = ()
        first: T | None = None

    batch = codec.structure({"items": [{"city": "a"}, None], "first": {"city": 1}}, Batch[Address])
    assert batch == Batch(items=(Address(city="a"),), first=Address(city="1"))
    assert codec.structure([{"city": "a"}], list[Address]) == [Address(city="a")]
    assert codec.structure(None, tuple[Address, ...]) == ()


def test_a_class_of_ones_own():
    """A user's class may have required fields; without them the record is refused, and says which one."""

    @frozen
    class Mine:
        customer_id: str
        state: int = 7
        extra: dict[str, int] | None = None

    body = b'{"data": {"customer_id": 5, "extra": {"a": "1"}, "state": ""}}'
    assert codec.record(body, Mine) == Mine("5", 7, {"a": 1})
    assert codec.record(b'{"data": {"customer_id": 5, "extra": 1}}', Mine) == Mine("5", 7, None)
    with pytest.raises(codec.Malformed, match=r"Mine\.customer_id is missing"):
        codec.record(b'{"data": {"state": 1}}', Mine)


def test_one_warning_per_field(caplog):
    """A field warns once per process, names itself and the kind of trouble, and never shows the value."""
    for _ in range(3):
        codec.structure({"birthdate": "0000-00-00", "gender": "purple"}, PersonalInformation)
    assert [record.getMessage() for record in caplog.records] == [
        "PersonalInformation.gender: not a whole number, read as None (reported once)",
        "PersonalInformation.birthdate: zero date, read as None (reported once)",
    ]
    assert {record.name for record in caplog.records} == {"carecloud_async.codec"}
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_absent_values_are_silent(caplog):
    """Empty texts, nulls, empty lists and numbers for texts are what such servers do: no warning."""
    codec.structure(
        {"birthdate": "", "gender": None, "phone": 420, "address": [], "agreement": None, "consents": None},
        PersonalInformation,
    )
    codec.structure({"customer_id": "8ea6", "state": "1", "last_change": "", "personal_information": ""}, Customer)
    assert caplog.records == []


def test_no_python_warnings():
    """Misfits never go through `warnings`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        codec.structure({"day": "x", "number": "x", "texts": 5, "moment": "2019-01-01T00:00:00Z"}, Sample)
    assert caught == []


def test_python_values_are_taken_too():
    """Values that are no JSON any more, from a user's own dict, are read by their meaning."""

    class Text(str):
        __slots__ = ()

    moment = datetime(2019, 6, 23, 11, 47, 22)  # noqa: DTZ001
    assert read("day", moment) == date(2019, 6, 23)
    assert read("day", date(2019, 6, 23)) == date(2019, 6, 23)
    assert read("moment", moment) == read("moment", moment.replace(tzinfo=UTC)) == moment
    assert read("moment", date(2019, 6, 23)) == moment.replace(hour=0, minute=0, second=0)
    assert type(read("text", Text("x"))) is str
    assert read("text", Gender.FEMALE) == "2"
    assert type(read("number", Gender.FEMALE)) is int


def test_types_that_msgspec_does_not_know():
    """A class that only cattrs can read is read by it."""

    @frozen
    class Left:
        a: str | None = None

    @frozen
    class Right:
        b: str | None = None

    @frozen
    class Odd:
        state: int | None = None
        either: Left | Right | None = None

    assert codec.record(b'{"data": {"state": 1}}', Odd) == Odd(1)


def test_enums_and_dataclasses_of_ones_own():
    """A user's class may hold an enum and be a dataclass; a value the enum lacks is None."""

    @frozen
    class Strict:
        gender: Gender | None = None
        state: int | None = None

    @dataclass
    class Plain:
        state: int

    assert codec.record(b'{"data": {"gender": 2, "state": "1"}}', Strict) == Strict(Gender.FEMALE, 1)
    assert codec.record(b'{"data": {"gender": 9}}', Strict) == Strict()
    assert codec.record(b'{"data": {"state": "1"}}', Plain) == Plain(1)
