"""Inputs into JSON."""

import json
from collections import OrderedDict
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from codec_records import QUICKSTART_CUSTOMER, answer

from carecloud_async._base import codec
from carecloud_async.errors import ConfigurationError
from carecloud_async.models import (
    UNSET,
    AddressInput,
    ConsentInput,
    Customer,
    CustomerInput,
    Gender,
    LoginType,
    PersonalInformationInput,
    PropertyRecordInput,
)

PERSON = PersonalInformationInput(language_id="cs")


def test_unset_null_and_empty_are_apart():
    """What is not named is left out, None is null and an empty text stays one."""
    person = PersonalInformationInput(language_id="cs", phone=None, email="", address=AddressInput(city="Praha"))
    assert codec.unstructure(CustomerInput(personal_information=person)) == {
        "personal_information": {"language_id": "cs", "phone": None, "email": "", "address": {"city": "Praha"}}
    }
    assert codec.unstructure({"a": UNSET, "b": [UNSET, 1]}) == {"b": [1]}


def test_dates_in_the_apis_spelling():
    """Dates and timestamps are written as the API writes them; fractions of a second are cut off."""
    values = {"day": date(985, 2, 1), "moment": datetime(2019, 6, 23, 1, 2, 3, 999999), "text": "2019-06-23"}  # noqa: DTZ001
    assert codec.unstructure(values) == {"day": "0985-02-01", "moment": "2019-06-23 01:02:03", "text": "2019-06-23"}


def test_a_datetime_as_birthdate_is_its_day():
    """A datetime is a date to Python; the API gets the day alone."""
    person = PersonalInformationInput(language_id="cs", birthdate=datetime(1985, 2, 12, 5))  # noqa: DTZ001
    assert codec.unstructure(person)["birthdate"] == "1985-02-12"


def test_a_birthdate_may_be_written_with_dots():
    """`DD.MM.YYYY` is sent as `YYYY-MM-DD`; other text is the server's to judge."""
    texts = ["12.02.1985", "12.2.1985", "30.02.1985", "985-02-12"]
    people = [PersonalInformationInput(language_id="cs", birthdate=text) for text in texts]
    sent = [codec.unstructure(person)["birthdate"] for person in people]
    assert sent == ["1985-02-12", "12.2.1985", "30.02.1985", "985-02-12"]


def test_offsets_need_the_projects_zone():
    """A datetime with an offset is converted to the project's zone, and refused without one."""
    moment = datetime(2019, 6, 23, 12, tzinfo=timezone(timedelta(hours=5)))
    assert codec.encode([moment], zone=ZoneInfo("Europe/Prague")) == b'["2019-06-23 09:00:00"]'
    with pytest.raises(ConfigurationError, match="time zone"):
        codec.encode(moment)


def test_lists_mappings_and_enums():
    """Any sequence is a list, any mapping an object, an enum its value."""
    assert codec.unstructure((1, [2.5], OrderedDict(a=None), True)) == [1, [2.5], {"a": None}, True]
    plain = codec.unstructure({"g": Gender.FEMALE, "l": LoginType.EMAIL, "s": {1}, "d": Decimal("1.5")})
    assert plain == {"g": 2, "l": "email", "s": [1], "d": 1.5}
    assert [type(value) for value in plain.values()] == [int, str, list, float]
    consents = [ConsentInput(consent_id="a", consent_value=1)]
    assert codec.encode(consents) == b'[{"consent_id":"a","consent_value":1}]'


@pytest.mark.parametrize("value", [b"p3rs0nal", object(), float("nan"), Decimal("Infinity"), 1j])
def test_what_has_no_json_form_is_refused(value):
    """A value that JSON cannot hold is refused by its type, without being shown."""
    with pytest.raises(ConfigurationError) as caught:
        codec.encode(PropertyRecordInput(property_id="p", property_value=[value]))
    assert "p3rs0nal" not in str(caught.value)


def test_read_models_round_trip():
    """A read model can be written too, and read again it is the same."""
    customer = codec.record(answer(QUICKSTART_CUSTOMER), Customer)
    written = codec.encode(customer)
    assert json.loads(written)["last_change"] == "2019-06-23 11:47:22"
    assert codec.record(b'{"data":%s}' % written, Customer) == customer


def test_subclasses_of_plain_types():
    """A str or int of a user's own class is written as the plain one."""

    class Id(str):
        __slots__ = ()

    class Count(int):
        pass

    plain = codec.unstructure([Id("x"), Count(5)])
    assert [type(value) for value in plain] == [str, int]
