"""Inputs from plain values: `from_dict`, and the times and numbers that an input takes."""

import json
import types
import typing
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from every import every
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from thorough import examples

from carecloud_async import models
from carecloud_async._base import codec
from carecloud_async._base.codec.fields import field_types
from carecloud_async.errors import ConfigurationError
from carecloud_async.models import (
    UNSET,
    BillInput,
    BillItemInput,
    CardInput,
    ConsentInput,
    CustomerInput,
    EventInput,
    Input,
    PersonalInformationInput,
    PriceInput,
    PropertyRecordInput,
    TimeIntervalInput,
    Unset,
)
from carecloud_async.models.input_fields import UPLOADS

INPUTS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type) and issubclass(value, Input) and value is not Input
]
PRAGUE = ZoneInfo("Europe/Prague")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(
    datetime(1000, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.none() | st.sampled_from([UTC, PRAGUE]) | OFFSETS,
)
NUMBERS = (
    st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**6), 10**6, places=2)
)
TEXTS = st.text(max_size=8) | st.sampled_from(["", "0000-00-00", "985-02-12", "1", "true"])
PLAIN = {str: TEXTS, int: st.integers(-(2**53), 2**53), float: NUMBERS, bool: st.booleans()}
TIMES = {
    date: st.dates(date(1000, 1, 1))
    | MOMENTS
    | st.sampled_from(["1985-02-12", "12.02.1985", "985-02-12", "0000-00-00"]),
    datetime: MOMENTS
    | st.sampled_from(["2026-11-01", "01.11.2026", "2026-11-01T18:30", "2026-11-01T18:30:00Z", "0000-00-00 00:00:00"]),
    time: st.times() | st.sampled_from(["08:00:00", "8:00", "24:00:00"]),
}


def values(hint):
    """What a user may give for a field, `UNSET` and null among it where the field takes them."""
    is_union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    parts = frozenset(typing.get_args(hint) if is_union else (hint,))
    extra = [st.just(one) for kind, one in ((Unset, UNSET), (type(None), None)) if kind in parts]
    if parts >= UPLOADS:
        return TEXTS
    if typing.Any in parts:
        return st.one_of(JSON, *extra, *([MOMENTS] if date in parts else []))
    temporal = parts & TIMES.keys()
    if temporal:
        return st.one_of(TIMES[temporal.pop()], *extra)
    kinds = [PLAIN[part] for part in PLAIN if part in parts]
    kinds += [inputs(part) for part in parts if isinstance(part, type) and issubclass(part, Input)]
    kinds += [
        st.lists(values(typing.get_args(part)[0]), max_size=2) for part in parts if typing.get_origin(part) is Sequence
    ]
    return st.one_of(*kinds, *extra)


def inputs(cls):
    """Inputs of a class with any values."""
    return st.builds(cls, **{field: values(hint) for field, hint in field_types(cls).items()})


CARD = {"card_type_id": "t", "card_number": "1", "state": 1}


def card(**more):
    """A card to be written."""
    return CardInput(card_type_id="t", card_number="1", state=1, **more)


@pytest.mark.parametrize("cls", INPUTS, ids=lambda one: one.__name__)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_input_survives_to_dict(cls, data):
    """`from_dict` gives back the input, through JSON too, and it is sent as the first one is, to the last digit."""
    given_input = data.draw(inputs(cls))
    found = cls.from_dict(json.loads(json.dumps(given_input.to_dict())))
    assert found == given_input
    assert found.to_dict() == given_input.to_dict()
    sent = [json.loads(codec.encode(one, zone=PRAGUE), parse_float=Decimal) for one in (found, given_input)]
    assert sent[0] == sent[1]


@settings(deadline=None)
@given(number=st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("19.90"))
@example(Decimal("12345678901234567.89"))
@example(Decimal("0.1000000000000000000000001"))
@example(Decimal("1E+500"))
def test_a_decimal_is_sent_as_a_number_with_all_its_digits(number):
    """No amount is rounded to a float, neither when it is sent nor on its way through `to_dict`."""
    price = PriceInput(currency_id="czk", value=number)
    for one in (price, PriceInput.from_dict(price.to_dict())):
        sent = json.loads(codec.encode(one), parse_float=Decimal, parse_int=Decimal)["value"]
        assert sent == number
        assert isinstance(sent, Decimal)


def test_a_decimal_is_a_number_of_json():
    """`to_dict` gives a number wherever a float has the digits; the input keeps what it was given."""
    price = PriceInput(currency_id="czk", value=Decimal("19.90"))
    assert price.to_dict() == {"currency_id": "czk", "value": 19.9}
    assert isinstance(price.value, Decimal)
    assert price == PriceInput(currency_id="czk", value=19.9)
    assert hash(price) == hash(PriceInput(currency_id="czk", value=19.9))
    long = PriceInput(currency_id="czk", value=Decimal("12345678901234567.89"))
    assert long.to_dict()["value"] == "12345678901234567.89"


def test_a_time_with_an_offset_is_sent_in_the_projects_zone():
    """An aware datetime, or text with an offset, keeps it in `to_dict` and is converted when it is sent."""
    for moment in (datetime(2026, 7, 1, 10, tzinfo=UTC), "2026-07-01T10:00:00Z", "2026-07-01 12:00:00+02:00"):
        written = card(valid_to=moment)
        again = CardInput.from_dict(written.to_dict())
        assert written.to_dict()["valid_to"] in {"2026-07-01 10:00:00+00:00", "2026-07-01 12:00:00+02:00"}
        assert again == written
        sent = json.loads(codec.encode(again, zone=PRAGUE))
        assert sent["valid_to"] == "2026-07-01 12:00:00"


def test_a_property_that_is_a_moment_keeps_its_offset():
    """In the place of any value too, a time with an offset is sent in the project's zone after `from_dict`."""
    record = PropertyRecordInput(property_id="p", property_value=datetime(2026, 1, 1, 10, tzinfo=UTC))
    again = PropertyRecordInput.from_dict(record.to_dict())
    assert again == record
    assert json.loads(codec.encode(again, zone=PRAGUE))["property_value"] == "2026-01-01 11:00:00"


def test_the_repeated_hour_keeps_which_one_it_was():
    """In the hour that autumn repeats, both moments come back as themselves."""
    moments = [datetime(2026, 10, 25, 2, 30, tzinfo=PRAGUE, fold=fold) for fold in (0, 1)]
    cards = [card(valid_to=moment) for moment in moments]
    assert cards[0] != cards[1]
    assert [CardInput.from_dict(one.to_dict()) for one in cards] == cards


def test_from_dict_takes_values_of_python_too():
    """Datetimes, Decimals and inputs may stand among the plain values."""
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    assert CardInput.from_dict(CARD | {"valid_to": moment}) == card(valid_to=moment)
    price = PriceInput.from_dict({"currency_id": "czk", "value": Decimal("0.1")})
    assert price.value == Decimal("0.1")
    person = PersonalInformationInput(language_id="cs", consents=[ConsentInput(consent_id="a", consent_value=1)])
    assert CustomerInput.from_dict({"personal_information": person}).personal_information is person


def test_absent_null_and_empty_stay_apart():
    """What the values do not name is `UNSET`, and stays apart from null and an empty text."""
    person = PersonalInformationInput.from_dict({"language_id": "cs", "phone": None, "email": ""})
    assert person.to_dict() == {"language_id": "cs", "phone": None, "email": ""}
    assert person.first_name is UNSET


def test_api_name_that_python_reserves_is_read():
    """`from` of the API is the field `from_`, in both directions."""
    interval = TimeIntervalInput(from_=time(8), to="17:30:00")
    assert interval.to_dict() == {"from": "08:00:00", "to": "17:30:00"}
    assert TimeIntervalInput.from_dict(interval.to_dict()) == interval


def test_a_list_is_kept_as_a_tuple():
    """An input is frozen with what it holds: the caller's list may change afterwards."""
    consents = [ConsentInput(consent_id="a", consent_value=1)]
    person = PersonalInformationInput(language_id="cs", consents=consents)
    consents.clear()
    assert person.to_dict()["consents"] == [{"consent_id": "a", "consent_value": 1}]
    assert hash(person) == hash(PersonalInformationInput.from_dict(person.to_dict()))


BILL = {
    "bill_id": "b",
    "payment_time": "2026-11-01 18:30:00",
    "currency_id": "czk",
    "total_price": 10,
    "bill_items": [],
}
ITEM = {
    "plu_ids": [],
    "plu_name": "Coffee",
    "vat_rate": 21,
    "quantity": 1,
    "paid_amount": 10,
    "price": 10,
    "bill_item_id": "1",
    "loyalty_off": False,
    "purchase_item_type_id": "t",
}


@pytest.mark.parametrize(
    ("cls", "plain", "message"),
    [
        (
            BillInput,
            BILL | {"total_pric": 1},
            r"BillInput\.from_dict\(\): total_pric is not a field .* mean total_price\?",
        ),
        (BillInput, BILL | {"total_price": "p3rs0nal"}, r"total_price takes a number, not a string"),
        (BillInput, BILL | {"total_price": "12"}, r"total_price takes a number, not a string"),
        (BillInput, BILL | {"total_price": True}, r"total_price takes a number, not a boolean"),
        (BillInput, BILL | {"total_price": None}, r"total_price takes a number, not null"),
        (BillInput, BILL | {"total_price": float("nan")}, r"total_price takes a number"),
        (BillInput, BILL | {"bill_items": "p3rs0nal"}, r"bill_items takes a list, not a string"),
        (BillInput, BILL | {"bill_items": [ITEM, 7]}, r"bill_items\[1\] takes an object, not a number"),
        (
            BillInput,
            BILL | {"bill_items": [ITEM | {"price": []}]},
            r"bill_items\[0\]\.price takes a number, not a list",
        ),
        (BillInput, BILL | {"payment_time": 7}, r"payment_time takes a moment as 2026-11-01 18:30:00, not a number"),
        (BillInput, BILL | {"payment_time": "p3rs0nal"}, r"BillInput: payment_time takes a datetime, or text like"),
        (BillInput, {"bill_id": "b"}, r"payment_time is missing, and the API requires it"),
        (BillInput, [], r"BillInput\.from_dict\(\) takes an object, not a list"),
        (BillItemInput, ITEM | {"loyalty_off": 0}, r"loyalty_off takes true or false, not a number"),
        (CardInput, CARD | {"card_id": "p3rs0nal"}, r"card_id is read-only: leave it out"),
        (CardInput, CARD | {"state": 1.5}, r"state takes a whole number, not a number"),
        (CustomerInput, {"personal_information": None}, r"personal_information takes an object, not null"),
        (CustomerInput, {"email": "p3rs0nal"}, r"email is not a field .* personal_information\.email\?"),
        (EventInput, {"customer_identifier_value": 7}, "is missing"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(cls, plain, message):
    """An unknown name, a value of another kind or a missing one raises with the field and the fix, never the value."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        cls.from_dict(plain)
    assert "p3rs0nal" not in str(caught.value)
    assert caught.value.__cause__ is None


@every(
    "field, value, message",
    [
        ("gender", "male", "gender takes a whole number, not a string"),
        ("first_name", 7, "first_name takes a text, not a number"),
        ("birthdate", 1985, "birthdate takes a date as 1985-02-12, not a number"),
        ("consents", "yes", "consents takes a list, not a string"),
    ],
)
def test_an_input_takes_values_of_its_types(field, value, message):
    """A value of another type is refused where the input is made, with the field and what it takes."""
    with pytest.raises(ConfigurationError, match=f"^PersonalInformationInput: {message}$"):
        PersonalInformationInput(**{"language_id": "cs", field: value})
