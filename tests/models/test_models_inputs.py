"""Inputs: `from_dict`, the times and numbers that they take, and the changes of the same record."""

import json
import typing
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from every import every
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from model_hints import hints_of, is_record, parts
from thorough import is_thorough

from carecloud_async import models
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
    Unset,
    VoucherBatchInput,
)
from tests.codec.codec_records import anything, sent

INPUTS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type) and issubclass(value, Input) and value is not Input
]
PRAGUE = ZoneInfo("Europe/Prague")
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
    options, kinds = typing.get_args(hint), {*parts(hint)}
    given = [st.just(value) for kind, value in ((Unset, UNSET), (type(None), None)) if kind in options]
    if bytes in kinds:  # a file
        return TEXTS
    temporal = kinds & TIMES.keys()
    if typing.Any in kinds:
        given += [anything, *([MOMENTS] if temporal else [])]
    elif temporal:
        given.append(TIMES[temporal.pop()])
    else:
        given += [PLAIN[kind] for kind in PLAIN if kind in kinds]
        given += [inputs(kind) for kind in kinds if is_record(kind)]
        given += [
            st.lists(values(typing.get_args(kind)[0]), max_size=2)
            for kind in kinds
            if typing.get_origin(kind) is Sequence
        ]
    return st.one_of(*given)


def inputs(cls):
    """Inputs of a class with any values."""
    return st.builds(
        cls, **{field: values(hint) for field, hint in typing.get_type_hints(cls).items() if field != "reads"}
    )


CARD = {"card_type_id": "t", "card_number": "1", "state": 1}


def card(**more):
    """A card to be written."""
    return CardInput(card_type_id="t", card_number="1", state=1, **more)


@pytest.mark.parametrize("cls", INPUTS, ids=lambda cls: cls.__name__)
@settings(max_examples=60 if is_thorough() else 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_input_survives_to_dict(cls, data):
    """`from_dict` gives back the input, through JSON too."""
    given_input = data.draw(inputs(cls))
    again = cls.from_dict(json.loads(json.dumps(given_input.to_dict())))
    assert again == given_input
    assert again.to_dict() == given_input.to_dict()


@settings(deadline=None)
@given(number=st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("19.90"))
@example(Decimal("12345678901234567.89"))
@example(Decimal("0.1000000000000000000000001"))
@example(Decimal("1E+500"))
def test_a_decimal_is_sent_as_a_number_with_all_its_digits(number):
    """No amount is rounded to a float, neither when it is sent nor on its way through `to_dict`."""
    price = PriceInput(currency_id="czk", value=number)
    for given_price in (price, PriceInput.from_dict(price.to_dict())):
        written = json.loads(sent(given_price), parse_float=Decimal, parse_int=Decimal)["value"]
        assert (written, type(written)) == (number, Decimal)


def test_a_decimal_is_a_number_of_json():
    """`to_dict` gives a number wherever a float has the digits; the input keeps what it was given."""
    price = PriceInput(currency_id="czk", value=Decimal("19.90"))
    assert price.to_dict() == {"currency_id": "czk", "value": 19.9}
    assert isinstance(price.value, Decimal)
    assert price == PriceInput(currency_id="czk", value=19.9)
    assert hash(price) == hash(PriceInput(currency_id="czk", value=19.9))
    long = PriceInput(currency_id="czk", value=Decimal("12345678901234567.89"))
    assert long.to_dict()["value"] == "12345678901234567.89"


MOMENT_TEXTS = ["2026-07-01T10:00:00Z", "2026-07-01 12:00:00+02:00"]


@every("moment", [datetime(2026, 7, 1, 10, tzinfo=UTC), *MOMENT_TEXTS])
def test_a_time_with_an_offset_is_sent_in_the_projects_zone(moment):
    """An aware datetime, or text with an offset, keeps it in `to_dict` and is converted when it is sent."""
    for written, field in (
        (card(valid_to=moment), "valid_to"),
        (PropertyRecordInput(property_id="p", property_value=datetime.fromisoformat(str(moment))), "property_value"),
    ):
        again = type(written).from_dict(written.to_dict())
        assert written.to_dict()[field] in {"2026-07-01 10:00:00+00:00", "2026-07-01 12:00:00+02:00"}
        assert again == written
        assert json.loads(sent(again))[field] == "2026-07-01 12:00:00"


#: Days and moments as people write them, and what is kept of them.
DAYS = [
    *[(datetime(1985, 2, 12, 5), "1985-02-12"), ("12.02.1985", "1985-02-12")],  # noqa: DTZ001
    *[(text, text) for text in ("12.2.1985", "30.02.1985", "985-02-12", "", "0000-00-00")],
]
TIMES_OF_DAY = [
    ("31.12.2027", "2027-12-31 00:00:00"),
    *[(text, text) for text in ("", "0000-00-00", "2027-12-31", "2027-12-31 10:00:00", "2027-12-31 10:00:00+01:00")],
]


def test_days_and_times_are_read_as_elsewhere():
    """`DD.MM.YYYY` is the day, or its first moment; a text that is neither a day nor a time is refused, unquoted."""
    for given_day, kept in DAYS:
        assert PersonalInformationInput(language_id="cs", birthdate=given_day).to_dict()["birthdate"] == kept
    for moment, kept in TIMES_OF_DAY:
        assert card(valid_to=moment).to_dict()["valid_to"] == kept
    wrong = "31/12/1999"
    for make in (
        lambda: PersonalInformationInput(language_id="cs", birthdate=wrong),
        lambda: card(valid_to=wrong),
        lambda: VoucherBatchInput(customer_id="c", reward_id="r", valid_from=wrong),
    ):
        with pytest.raises(ConfigurationError, match=r"Input: \w+ takes a date.*, or text like") as caught:
            make()
        assert "1999" not in str(caught.value)


def test_the_repeated_hour_keeps_which_one_it_was():
    """In the hour that autumn repeats, both moments come back as themselves."""
    moments = [datetime(2026, 10, 25, 2, 30, tzinfo=PRAGUE, fold=fold) for fold in (0, 1)]
    cards = [card(valid_to=moment) for moment in moments]
    assert cards[0] != cards[1]
    assert [CardInput.from_dict(until.to_dict()) for until in cards] == cards


def test_from_dict_takes_values_of_python_too():
    """Datetimes, Decimals and inputs may stand among the plain values."""
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    assert CardInput.from_dict(CARD | {"valid_to": moment}) == card(valid_to=moment)
    price = PriceInput.from_dict({"currency_id": "czk", "value": Decimal("0.1")})
    assert price.value == Decimal("0.1")
    person = PersonalInformationInput(language_id="cs", consents=[ConsentInput(consent_id="a", consent_value=1)])
    assert CustomerInput.from_dict({"personal_information": person}).personal_information is person


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


#: A change of a bill, and what the error says.
WRONG_BILLS = [
    ({"total_pric": 1}, r"BillInput\.from_dict\(\): total_pric is not a field .* mean total_price\?"),
    *[({"total_price": value}, "total_price takes a number, not a string") for value in ("p3rs0nal", "12")],
    ({"total_price": True}, "total_price takes a number, not a boolean"),
    ({"total_price": None}, "total_price takes a number, not null"),
    ({"total_price": float("nan")}, "total_price takes a number"),
    ({"bill_items": "p3rs0nal"}, "bill_items takes a list, not a string"),
    ({"bill_items": [ITEM, 7]}, r"bill_items\[1\] takes an object, not a number"),
    ({"bill_items": [ITEM | {"price": []}]}, r"bill_items\[0\]\.price takes a number, not a list"),
    ({"payment_time": 7}, "payment_time takes a moment as 2026-11-01 18:30:00, not a number"),
    ({"payment_time": "p3rs0nal"}, "BillInput: payment_time takes a datetime, or text like"),
]
WRONG = [
    *[(BillInput, BILL | change, message) for change, message in WRONG_BILLS],
    (BillInput, {"bill_id": "b"}, "payment_time is missing, and the API requires it"),
    (BillInput, [], r"BillInput\.from_dict\(\) takes an object, not a list"),
    (BillItemInput, ITEM | {"loyalty_off": 0}, "loyalty_off takes true or false, not a number"),
    (CardInput, CARD | {"card_id": "p3rs0nal"}, "card_id is read-only: leave it out"),
    (CardInput, CARD | {"state": 1.5}, "state takes a whole number, not a number"),
    (CustomerInput, {"personal_information": None}, "personal_information takes an object, not null"),
    (CustomerInput, {"email": "p3rs0nal"}, r"email is not a field .* personal_information\.email\?"),
    (EventInput, {"customer_identifier_value": 7}, "is missing"),
]


@every("cls, plain, message", WRONG)
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


CHANGES = [name for name in models.__all__ if name.endswith("Changes")]


def kinds(hint):
    """What a field takes, without null and absence; a record is a record whichever way it is given."""
    return frozenset(map(kind_of, parts(hint)))


def kind_of(part):
    if typing.get_origin(part) is not None:
        return (typing.get_origin(part), *map(kinds, typing.get_args(part)))
    return "record" if typing.is_typeddict(part) or is_record(part) else part


@every("name", CHANGES)
def test_changes_are_equal_to_their_input(name):
    """The dict that an update takes has the fields of the input, under the API's names, and each takes the same."""
    record = name.removesuffix("Changes")
    given_input = getattr(models, f"{record}UpdateInput", None) or getattr(models, f"{record}Input")
    own, changes = hints_of(given_input), typing.get_type_hints(getattr(models, name))
    assert {field: kinds(hint) for field, hint in changes.items()} == {
        field: kinds(hint) for field, hint in own.items()
    }
