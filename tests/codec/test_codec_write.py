"""What is sent: values of Python as the API's JSON."""

import json
from collections import OrderedDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from codec_records import QUICKSTART_CUSTOMER, answer, reply, sent
from every import every

from carecloud_async import ConfigurationError
from carecloud_async.models import (
    UNSET,
    AddressInput,
    ConsentInput,
    CustomerInput,
    Gender,
    LoginType,
    PersonalInformationInput,
    PropertyRecordInput,
)


class Id(str):
    """A text of a user's own class."""

    __slots__ = ()


class Count(int):
    """A whole number of a user's own class."""


PERSON = PersonalInformationInput(language_id="cs", phone=None, email="", address=AddressInput(city="Praha"))
AHEAD = timezone(timedelta(hours=5))
#: What is given, and the text that is sent.
SENT = [
    # What is not named is left out, None is null and an empty text stays one.
    (CustomerInput(personal_information=PERSON), {"personal_information": PERSON.to_dict()}),
    (PERSON, {"phone": None, "email": "", "address": {"city": "Praha"}, "language_id": "cs"}),
    ({"a": UNSET, "b": [UNSET, 1]}, {"b": [1]}),
    # Dates are spelled as the API does, in the project's zone; fractions of a second are cut off.
    (date(985, 2, 1), "0985-02-01"),
    (datetime(2019, 6, 23, 1, 2, 3, 999999), "2019-06-23 01:02:03"),  # noqa: DTZ001
    (datetime(2019, 6, 23, 12, tzinfo=AHEAD), "2019-06-23 09:00:00"),
    ("2019-06-23", "2019-06-23"),
    # Any sequence is a list, any mapping an object, an enum its value, a user's own class the plain one.
    ((1, [2.5], OrderedDict(a=None), True), [1, [2.5], {"a": None}, True]),
    ({"g": Gender.FEMALE, "l": LoginType.EMAIL, "s": {1}}, {"g": 2, "l": "email", "s": [1]}),
    ([ConsentInput(consent_id="a", consent_value=1)], [{"consent_id": "a", "consent_value": 1}]),
    ([Id("x"), Count(5)], ["x", 5]),
]


@every("value, expected", SENT, ids=repr)
def test_values_are_sent_as_the_api_spells_them(value, expected):
    """Inputs, dates, numbers and collections become the JSON of the API."""
    assert json.loads(sent(value)) == expected


def test_a_decimal_keeps_its_digits():
    """A number with more digits than a float holds is sent with all of them."""
    assert sent([Decimal("1.5"), Decimal("0.12345678901234567890")]) == "[1.5,0.12345678901234567890]"
    assert PropertyRecordInput(property_id="p", property_value=Decimal("1.5")).to_dict()["property_value"] == 1.5


@every("value", [b"p3rs0nal", object(), float("nan"), Decimal("Infinity"), 1j, "p3rs0nal\ud800"], ids=ascii)
def test_what_has_no_json_form_is_refused(value):
    """A value that JSON cannot hold is refused before anything is sent, without being shown."""
    with pytest.raises(ConfigurationError) as caught:
        sent(PropertyRecordInput(property_id="p", property_value=[value]))
    assert "p3rs0nal" not in f"{caught.value} {caught.value.__context__!r}"


def test_a_record_that_was_read_is_sent_as_it_came():
    """What is written of a record is read as the same record."""

    async def ask(client):
        return await client.customers.get("8ea6")

    customer = reply(answer(QUICKSTART_CUSTOMER), ask)
    assert reply(b'{"data":%b}' % sent(customer).encode(), ask) == customer
