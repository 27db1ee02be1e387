"""merge_changes: what an update sends back."""

import copy
import json
import types
import typing
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import models
from carecloud_async._base import codec
from carecloud_async._base.codec.fields import api_names, field_types
from carecloud_async._base.codec.write import unstructure
from carecloud_async.errors import ConfigurationError
from carecloud_async.models import (
    UNSET,
    Address,
    AddressInput,
    ConsentInput,
    Customer,
    CustomerUpdateInput,
    Input,
    PersonalInformationInput,
    PropertyRecordInput,
    Unset,
    merge_changes,
)

RECORD = {
    "customer_id": "8ea6",
    "personal_information": {
        "first_name": "John",
        "photo_url": "https://x",
        "new_field": {"customer_id": 1},
        "address": {"city": "Praha", "zip": "11000"},
        "agreement": {"custom_agreements": [{"agreement_id": "a", "agreement_value": 1, "new": 2}]},
        "consents": [{"consent_id": "c", "consent_value": 1, "last_change": "2019-06-23 11:47:22", "new": 1}],
    },
    "last_change": "2019-06-23 11:47:22",
    "state": 1,
    "new_top": [1],
}


def merged(changes, record=RECORD, *, allow_unknown=False):
    return merge_changes(record, changes, model=CustomerUpdateInput, allow_unknown=allow_unknown)


def person(**changes):
    return merged({"personal_information": changes})["personal_information"]


def test_no_changes_strip_what_is_read_only():
    """Without changes the record comes back without its read-only fields, unknown ones included at any depth."""
    assert merged({}) == {
        "personal_information": {
            "first_name": "John",
            "new_field": {"customer_id": 1},
            "address": {"city": "Praha", "zip": "11000"},
            "agreement": {"custom_agreements": [{"agreement_id": "a", "agreement_value": 1, "new": 2}]},
            "consents": [{"consent_id": "c", "consent_value": 1, "new": 1}],
        },
        "new_top": [1],
    }


def test_objects_merge_deeply():
    """A nested dict changes what it names and nothing beside it."""
    found = person(address={"city": "Brno"})
    assert found["address"] == {"city": "Brno", "zip": "11000"}
    assert found["first_name"] == "John"


def test_lists_are_replaced_whole():
    """A list takes the place of the record's list."""
    assert person(consents=[{"consent_id": "d", "consent_value": 0}])["consents"] == [
        {"consent_id": "d", "consent_value": 0}
    ]
    assert person(consents=())["consents"] == []


def test_none_sends_null_and_unset_nothing():
    """None becomes null, also for an object; UNSET leaves the record's value."""
    found = person(first_name=None, address=None, phone=UNSET)
    assert found["first_name"] is None
    assert found["address"] is None
    assert "phone" not in found


def test_inputs_in_changes():
    """An input model in place of a dict changes what it sets."""
    found = person(address=AddressInput(city="Brno"), consents=[ConsentInput(consent_id="d", consent_value=2)])
    assert found["address"] == {"city": "Brno", "zip": "11000"}
    assert found["consents"] == [{"consent_id": "d", "consent_value": 2}]
    whole = merged({"personal_information": PersonalInformationInput(language_id="cs")})["personal_information"]
    assert (whole["language_id"], whole["first_name"]) == ("cs", "John")


def test_what_get_never_shows():
    """password, credentials and property records are merged in only if named."""
    found = merged(
        {
            "password": "s3cret",
            "social_network_credentials": {"social_network_id": "s", "social_network_token": "t"},
            "property_records": [PropertyRecordInput(property_id="p", property_value=[1]), {"property_id": "q"}],
        }
    )
    assert found["password"] == "s3cret"
    assert found["social_network_credentials"] == {"social_network_id": "s", "social_network_token": "t"}
    assert found["property_records"] == [{"property_id": "p", "property_value": [1]}, {"property_id": "q"}]


def test_a_broken_record_is_mended():
    """An object that the server sent as a list or null is replaced by a change inside it."""
    for broken in ([], None, ""):
        record = {"personal_information": {"address": broken}}
        assert merged({"personal_information": {"address": {"city": "x"}}}, record) == {
            "personal_information": {"address": {"city": "x"}}
        }


def test_dates_are_left_to_the_codec():
    """Dates stay dates; a datetime for a birthdate is its day."""
    assert person(birthdate=date(1985, 2, 12))["birthdate"] == date(1985, 2, 12)
    assert unstructure(person(birthdate=datetime(1985, 2, 12, 5)))["birthdate"] == "1985-02-12"  # noqa: DTZ001


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"personal_information": {"emial": "p3rs0nal"}}, r"personal_information\.emial .* did you mean email\?"),
        ({"pasword": "p3rs0nal"}, r"pasword .* did you mean password\?"),
        ({"personal_information": {"address": {"citty": 1}}}, r"personal_information\.address\.citty .* city\?"),
        (
            {"personal_information": {"consents": [{}, {"consent_ids": 1}]}},
            r"consents\[1\]\.consent_ids .* consent_id\?",
        ),
        ({"zzzz": 1}, r"zzzz is not a field of this record$"),
        ({"customer_id": "p3rs0nal"}, "customer_id is read-only"),
        ({"personal_information": {"photo_url": "p3rs0nal"}}, r"personal_information\.photo_url is read-only"),
        ({"personal_information": {"consents": [{"last_change": "x"}]}}, r"consents\[0\]\.last_change is read-only"),
        ({"property_records": [{"property_name": "p3rs0nal"}]}, r"property_records\[0\]\.property_name is read-only"),
        ({"personal_information": "p3rs0nal"}, "personal_information takes a dict"),
        ({"personal_information": {"consents": "p3rs0nal"}}, "consents takes a list"),
        ({"personal_information": {"consents": {"consent_id": 1}}}, "consents takes a list"),
        ({"personal_information": {"address": Address(city="p3rs0nal")}}, "address is a read model"),
        ({"personal_information": {"first_name": Address()}}, "first_name takes a text, not an object of Address"),
        ({"personal_information": {"gender": "p3rs0nal"}}, "gender takes a whole number, not a string"),
        ({"personal_information": {"gender": True}}, "gender takes a whole number, not a boolean"),
        ({"personal_information": {"agreement": {"agreement_gtc": "yes"}}}, "agreement_gtc takes a whole number"),
        ({"personal_information": {"birthdate": 1985}}, "birthdate takes a date as 1985-02-12, not a number"),
        (Customer(customer_id="p3rs0nal"), "changes is a read model"),
        ([1], "changes takes a dict"),
    ],
)
def test_wrong_names_are_refused(changes, message):
    """An unknown name raises with its path and the nearest one, a read-only one says so; values are never shown."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        merged(changes)
    assert "p3rs0nal" not in str(caught.value)


def test_unknown_names_may_be_let_by():
    """`allow_unknown` lets new names by at any depth, but no read-only ones."""
    changes = {"brand_new": 1, "personal_information": {"address": {"address8": "x"}}}
    found = merged(changes, allow_unknown=True)
    assert found["brand_new"] == 1
    assert found["personal_information"]["address"]["address8"] == "x"
    with pytest.raises(ConfigurationError, match="read-only"):
        merged({"state": 1}, allow_unknown=True)


_scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_texts = st.none() | st.text(max_size=5)
_numbers = st.none() | st.integers()
_json = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))
_future = st.dictionaries(st.sampled_from(["new", "newer", "customer"]), _json, max_size=2)
_address = st.fixed_dictionaries({}, optional={"city": _texts, "zip": _texts})
_consent = st.fixed_dictionaries({}, optional={"consent_id": _texts, "consent_value": _numbers})
_person = st.fixed_dictionaries(
    {},
    optional={
        "first_name": _texts,
        "email": _texts,
        "address": st.none() | _address,
        "consents": st.lists(_consent, max_size=2),
    },
)
_changes = st.fixed_dictionaries({}, optional={"personal_information": _person, "password": st.text(max_size=3)})


@st.composite
def _records(draw):
    record = {"customer_id": "x", "state": 1} | draw(_future)
    inner = draw(_person) | {"photo_url": "u"} | draw(_future)
    inner["consents"] = [consent | {"last_change": "t"} for consent in inner.get("consents", [])]
    return record | {"personal_information": draw(st.sampled_from([inner, None, []]))}


def expected(base, changes):
    """Merge by the plain rule: dicts deeply, everything else replaced."""
    if not isinstance(changes, dict):
        return changes
    start = base if isinstance(base, dict) else {}
    return start | {name: expected(start.get(name), change) for name, change in changes.items()}


def stripped(record):
    """Leave the read-only fields of `_records` out, by hand."""
    record = {name: value for name, value in record.items() if name not in {"customer_id", "state"}}
    inner = record["personal_information"]
    if isinstance(inner, dict):
        inner = {name: value for name, value in inner.items() if name != "photo_url"}
        inner["consents"] = [{n: v for n, v in consent.items() if n != "last_change"} for consent in inner["consents"]]
        record["personal_information"] = inner
    return record


@given(_records(), _changes)
def test_merging_changes_what_it_names_and_nothing_else(record, changes):
    """Any record and any changes: the named parts change, all else stays, neither argument is touched."""
    before = copy.deepcopy((record, changes))
    found = merged(changes, record)
    assert (record, changes) == before
    assert found == expected(stripped(record), changes)
    assert json.loads(codec.encode(found)) == found


CHANGES = [name for name in models.__all__ if name.endswith("Changes")]


def input_of(name):
    """The input of the same record: what an update may name, where that is more or less than a PUT's record."""
    record = name.removesuffix("Changes")
    return getattr(models, f"{record}UpdateInput", None) or getattr(models, f"{record}Input")


def kinds(hint):
    """What a field takes, without null and absence; a record is a record whichever way it is given."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return frozenset().union(*map(kinds, typing.get_args(hint)))
    if hint in {type(None), Unset}:
        return frozenset()
    if typing.get_origin(hint) is not None:
        return frozenset({(typing.get_origin(hint), *map(kinds, typing.get_args(hint)))})
    is_record = typing.is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, Input))
    return frozenset({"record" if is_record else hint})


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_equal_to_their_input(name):
    """The dict that an update takes has the fields of the input, under the API's names, and each takes the same."""
    changes, record = typing.get_type_hints(getattr(models, name)), input_of(name)
    own = {api: field_types(record)[field] for field, api in api_names(record).items()}
    assert {field: kinds(hint) for field, hint in changes.items()} == {
        field: kinds(hint) for field, hint in own.items()
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [("email", "personal_information.email"), ("zip", "personal_information.address.zip")],
)
def test_a_name_at_the_wrong_level_names_its_place(name, path):
    """A field that stands within an object of the record is named with its whole path."""
    with pytest.raises(ConfigurationError, match=rf"{name} is not a field of this record: did you mean {path}\?"):
        merge_changes({}, {name: "x"}, model=CustomerUpdateInput)
