"""What an update sends back: the named changes, and all else as the server wrote it."""

import copy
import json
import pickle
from datetime import date, datetime

import anyio
import pytest
from every import every
from resource_wire import Wire, answer

from carecloud_async import (
    UNSET,
    Address,
    AddressInput,
    AgreementInput,
    ConsentInput,
    Customer,
    PersonalInformation,
    PersonalInformationInput,
    PropertyRecordInput,
)
from carecloud_async.errors import ConfigurationError, ConflictError, ResponseError

pytestmark = pytest.mark.anyio


def put(record, changes=None):
    """The customer that an update sends where the server has this record, as JSON."""
    wire = Wire(b'{"data":%b}' % record)

    async def work():
        await wire.client.customers.update("8ea6", {"personal_information": {"email": "b"}, **(changes or {})})

    anyio.run(work)
    assert wire.titles == ["GET /customers/8ea6", "PUT /customers/8ea6"]
    return wire.body.removeprefix(b'{"customer":').removesuffix(b"}")


def person(fields):
    return b'{"personal_information":{"email":"a",%b}}' % fields


def put_person(fields, changes=None):
    """The same of a customer's personal information, without its e-mail."""
    sent = put(person(fields), None if changes is None else {"personal_information": {"email": "b", **changes}})
    return sent.removeprefix(b'{"personal_information":{"email":"b",').removesuffix(b"}}")


#: Values that reading and writing would change.
VERBATIM = [
    *[b"0.12345678901234567890", b"1e400", b"-0.0", b"1.10", b"123456789012345678901234567890", b"null"],
    *[b'"\\u00e9"', b'"\xff"', b'{"b": 1.0,  "a": null, "a": 2}', b'[1e1, "\\u0000", {"x": null}]'],
]


@every("value", VERBATIM)
def test_unknown_fields_go_back_byte_for_byte(value):
    """Numbers, escapes, broken text and blanks of what the SDK does not know are sent as the server wrote them."""
    sent = put(b'{"personal_information": {"email": "a", "new": %b}, "newer" : %b}' % (value, value))
    assert sent == b'{"personal_information":{"email":"b","new":%b},"newer":%b}' % (value, value)


#: The name of a known field, the value that the server wrote, and the one that is sent.
KNOWN = [
    *[(b"gender", number, number) for number in (b"1.0", b"1e400", b'"2"', b"0.12345678901234567890")],
    # A number in a known text is sent as the text that it means; an absurd one stays a number.
    (b"phone", b"420777123456", b'"420777123456"'),
    (b"phone", b"-1", b'"-1"'),
    (b"phone", b"11000.0", b'"11000"'),
    (b"phone", b"4.2e11", b'"420000000000"'),
    (b"phone", b"0.12345678901234567890", b'"0.12345678901234567890"'),
    (b"phone", b"1234567890123456789012345678901234567890123", b'"1234567890123456789012345678901234567890123"'),
    (b"phone", b"1e400", b"1e400"),
    (b"phone", b"1e99999999999999999999", b"1e99999999999999999999"),
    (b"address", b'{"zip":11000.0,"new":1.0}', b'{"zip":"11000","new":1.0}'),
    # A list that PHP wrote as an object is sent as a list, without what the server alone writes.
    (b"consents", b'{"0":{"consent_id":7,"last_change":"x"},"2":{"new":1}}', b'[{"consent_id":"7"},{"new":1}]'),
    (b"consents", b'{"total":2}', b'{"total":2}'),
    (b"consents", b'[null,{"consent_id":7,"consent_value":null,"new":null}]', b'[{"consent_id":"7","new":null}]'),
]


@every("name, shown, expected", KNOWN)
def test_known_fields_go_back_as_they_are_meant(name, shown, expected):
    """Numbers keep their digits, and texts are texts."""
    assert put_person(b'"%b":%b' % (name, shown)) == b'"%b":%b' % (name, expected)


def test_a_null_that_only_came_from_the_read_is_left_out():
    """Known nulls go at any depth; a null that is named is sent, and unknown ones are kept."""
    fields = b'"gender": null, "address": {"city": null, "zip": "1"}, "phone": "1", "new": null'
    sent = json.loads(b"{%b}" % put_person(fields, {"phone": None}))
    assert sent == {"address": {"zip": "1"}, "phone": None, "new": None}


PERSON = {"email": "a", "birthdate": "985-02-12", "phone": 1}
CUSTOMER = {"customer_id": "8ea6", "personal_information": PERSON}
SHOWN = {
    "first_name": "John",
    "address": {"city": "Praha", "zip": "11000"},
    "photo_url": "https://x",
    "consents": [{"consent_id": "c", "consent_value": 1, "last_change": "2019-06-23 11:47:22", "new": 1}],
}
KEPT = {"first_name": "John", "address": SHOWN["address"], "consents": [{**SHOWN["consents"][0]}]}
del KEPT["consents"][0]["last_change"]
BRNO = {"address": {"city": "Brno", "zip": "11000"}}
#: Changes of the personal information above, and what they change of what is sent.
NAMED = [
    ({}, {}),
    ({"address": {"city": "Brno"}}, BRNO),
    ({"address": AddressInput(city="Brno")}, BRNO),
    (PersonalInformationInput(language_id="cs", address=AddressInput(city="Brno")), {"language_id": "cs", **BRNO}),
    ({"first_name": None, "address": None, "phone": UNSET}, {"first_name": None, "address": None}),
    ({"consents": [{"consent_id": "d"}]}, {"consents": [{"consent_id": "d"}]}),
    (
        {"consents": (ConsentInput(consent_id="d", consent_value=2),)},
        {"consents": [{"consent_id": "d", "consent_value": 2}]},
    ),
    ({"consents": ()}, {"consents": []}),
    ({"birthdate": date(1985, 2, 12)}, {"birthdate": "1985-02-12"}),
    ({"birthdate": datetime(1985, 2, 12, 5)}, {"birthdate": "1985-02-12"}),  # noqa: DTZ001
]


@every("changes, changed", NAMED)
def test_what_is_named_changes(changes, changed):
    """Objects merge deeply, lists are replaced whole, `None` sends null, `UNSET` nothing, and inputs count as dicts."""
    record = json.dumps({"personal_information": SHOWN}).encode()
    assert json.loads(put(record, {"personal_information": changes}))["personal_information"] == KEPT | changed


@every("broken", [[], None, ""])
def test_an_object_that_the_server_breaks_is_mended(broken):
    """A change inside an object replaces what stands in its place."""
    sent = put(person(b'"address":%b' % json.dumps(broken).encode()), {"personal_information": BRNO})
    assert json.loads(sent)["personal_information"]["address"] == BRNO["address"]


#: Changes of a customer that are refused, and what the error says.
REFUSED = [
    ({"personal_information": {"emial": "p3rs0nal"}}, r"personal_information\.emial .* did you mean email\?"),
    ({"pasword": "p3rs0nal"}, r"pasword .* did you mean password\?"),
    ({"email": "p3rs0nal"}, r"did you mean personal_information\.email\?"),
    ({"zip": "p3rs0nal"}, r"did you mean personal_information\.address\.zip\?"),
    ({"personal_information": {"consents": [{}, {"consent_ids": 1}]}}, r"consents\[1\]\.consent_ids .* consent_id\?"),
    ({"zzzz": 1}, r"zzzz is not a field of this record$"),
    ({"customer_id": "p3rs0nal"}, "customer_id is read-only"),
    ({"personal_information": {"photo_url": "p3rs0nal"}}, r"personal_information\.photo_url is read-only"),
    ({"personal_information": {"consents": [{"last_change": "x"}]}}, r"consents\[0\]\.last_change is read-only"),
    ({"property_records": [{"property_name": "p3rs0nal"}]}, r"property_records\[0\]\.property_name is read-only"),
    ({"personal_information": "p3rs0nal"}, "personal_information takes a dict"),
    ({"personal_information": {"consents": "p3rs0nal"}}, "consents takes a list"),
    ({"personal_information": {"consents": {"consent_id": 1}}}, "consents takes a list"),
    ({"personal_information": {"address": Address(city="p3rs0nal")}}, "address is a read model"),
    ({"personal_information": PersonalInformation(email="p3rs0nal")}, "personal_information is a read model"),
    ({"personal_information": {"first_name": Address()}}, "first_name takes a text, not an object of Address"),
    ({"personal_information": {"gender": "p3rs0nal"}}, "gender takes a whole number, not a string"),
    ({"personal_information": {"gender": True}}, "gender takes a whole number, not a boolean"),
    ({"personal_information": {"agreement": {"agreement_gtc": "yes"}}}, "agreement_gtc takes a whole number"),
    ({"personal_information": {"birthdate": 1985}}, "birthdate takes a date as 1985-02-12, not a number"),
    ({"personal_information": {"consents": map(dict, [{"consent_id": "c"}])}}, "consents takes a list"),
    (
        {"personal_information": PersonalInformationInput(language_id="en", consents=iter([{"consent_id": "c"}]))},
        "consents takes a list",
    ),
    ({"property_records": (record for record in [{"property_id": "p"}])}, "property_records takes a list"),
    (Customer(customer_id="p3rs0nal"), "changes is a read model"),
    ([1], "changes takes a dict"),
    ({"personal_information": {"first_name": "p3rs0nal\ud800"}}, "surrogate"),
]


@every("changes, message", REFUSED)
async def test_wrong_changes_are_refused_before_anything_is_sent(changes, message):
    """An unknown name has its path and the nearest name, a wrong value what the field takes; no value is shown."""
    wire = Wire()
    with pytest.raises(ConfigurationError, match=message) as caught:
        await wire.client.customers.update("8ea6", changes)
    assert "p3rs0nal" not in str(caught.value)
    assert not wire.calls


async def test_unknown_names_may_be_let_by():
    """`allow_unknown` lets new names by at any depth, but no read-only ones."""
    wire = Wire(answer(CUSTOMER))
    changes = {"brand_new": 1, "personal_information": {"address": {"address8": "x"}}}
    await wire.client.customers.update("8ea6", changes, allow_unknown=True)
    assert wire.sent["customer"]["brand_new"] == 1
    assert wire.sent["customer"]["personal_information"]["address"] == {"address8": "x"}
    with pytest.raises(ConfigurationError, match="read-only"):
        await wire.client.customers.update("8ea6", {"state": 1}, allow_unknown=True)


async def test_what_get_never_shows_is_sent_beside_the_record_and_only_if_named():
    """Password, credentials and property records stand beside the customer."""
    beside = {
        "password": "s3cret",
        "social_network_credentials": {"social_network_id": "s", "social_network_token": "t"},
        "property_records": [PropertyRecordInput(property_id="p", property_value=[1]), {"property_id": "q"}],
    }
    wire = Wire(answer(CUSTOMER))
    await wire.client.customers.update("8ea6", beside)
    sent = {**beside, "property_records": [{"property_id": "p", "property_value": [1]}, {"property_id": "q"}]}
    assert wire.sent == {"customer": {"personal_information": {**PERSON, "phone": "1"}}, **sent}


async def test_moments_of_an_update_are_sent_in_the_projects_zone():
    """The dict of an update takes what the input takes: text with an offset, and no text that is no moment."""
    wire = Wire(answer({"card_id": "c"}))
    await wire.client.cards.update("c", {"valid_to": "2026-07-01T10:00:00Z"})
    assert wire.sent == {"card": {"valid_to": "2026-07-01 12:00:00"}}
    with pytest.raises(ConfigurationError, match="valid_to takes a datetime, or text like"):
        await wire.client.cards.update("c", {"valid_to": "tomorrow"})


def with_consents(consents):
    return b'"agreement":{"agreement_gtc":1},"consents":%b' % consents


CONSENTS = b'[{"consent_id":"c","consent_value":1}]'


@every("agreement", [{"agreement_gtc": 0}, AgreementInput(agreement_gtc=0), None])
def test_older_consents_are_never_changed_in_vain(agreement):
    """The API ignores `agreement` next to `consents`: a change of it alone is refused, unless these are empty."""
    with pytest.raises(ConfigurationError, match=r"the API ignores .* name personal_information\.consents in"):
        put_person(with_consents(CONSENTS), {"agreement": agreement})
    for empty in (b"[]", b"null", b'""'):
        assert b"consents" not in put_person(with_consents(empty), {"agreement": agreement})


CONSENTING = [
    {},
    {"agreement": {"agreement_gtc": 1}},
    {"agreement": {"agreement_gtc": 0}, "consents": [{"consent_id": "c", "consent_value": 1}]},
    {"agreement": {"agreement_gtc": 0}, "consents": [{"consent_id": "c", "consent_value": 0}]},
]


@every("changes", CONSENTING)
def test_consents_go_back_beside_the_older_ones(changes):
    """Both are sent as the server wrote them, or as the changes name them: then `consents` take effect."""
    sent = json.loads(b"{%b}" % put_person(with_consents(CONSENTS), changes))
    assert sent["consents"] == changes.get("consents", json.loads(CONSENTS))


@every("empty", [b"{}", b"{ }", b"[]", b"[ ]", b"null", b'""'])
def test_an_object_that_is_not_shown_is_never_emptied(empty):
    """A record that shows an empty object where every record has one is not sent back, however it is written."""
    with pytest.raises(ConfigurationError, match="personal_information: the server does not show it"):
        put(b'{"personal_information":%b}' % empty)


@every("value", [b'"\\ud800"', b"NaN", b'"a\tb"', b"[" * 100_000])
def test_a_record_that_cannot_be_sent_back_is_refused(value):
    """A record that is no valid JSON is read, but never written again: nothing is sent, and it is not in the error."""
    wire = Wire(b'{"data":%b}' % person(b'"new":%b' % value))

    async def work():
        await wire.client.customers.update("8ea6", {"personal_information": {"email": "b"}})

    with pytest.raises(ResponseError, match=r"not JSON|too deeply"):
        anyio.run(work)
    assert wire.titles == ["GET /customers/8ea6"]


async def update_if_unchanged(now, before=None):
    """Update a customer that was read before, and of which the server has another record now."""
    wire = Wire(answer(CUSTOMER), now if isinstance(now, bytes) else answer(now))
    read = await wire.client.customers.get("8ea6")
    change = {"personal_information": {"email": "b"}}
    await wire.client.customers.update("8ea6", change, if_unchanged=before or read)
    assert wire.titles[-1] == "PUT /customers/8ea6"


SEEN = [
    ({"birthdate": "986-02-12"}, "birthdate"),
    ({"birthdate": "0000-00-00"}, "birthdate"),
    ({"new": 1}, "new"),
    ({"new": {"deep": [1.5]}}, "new"),
    ({"email": "c"}, "email"),
    ({"phone": 2}, "phone"),
    ({"phone": True}, "phone"),
]


@every("change, field", SEEN)
async def test_a_change_that_models_do_not_show_is_seen(change, field):
    """`if_unchanged` of a record from `get` sees unknown fields and unreadable dates change."""
    now = copy.deepcopy(CUSTOMER)
    now["personal_information"] |= change
    with pytest.raises(ConflictError) as caught:
        await update_if_unchanged(now)
    assert caught.value.fields == (f"personal_information.{field}",)
    assert "986-02-12" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="if_unchanged takes the record"):
        await update_if_unchanged(CUSTOMER, before=CUSTOMER)


@every("phone", [b'"1"', b"1", b"1.0", b"10e-1"])
async def test_another_spelling_is_no_change(phone):
    """The order of fields, blanks, a null for nothing and another spelling of a number change nothing."""
    now = b"""{ "data" : {"personal_information": {"phone": %b, "birthdate": "985-02-12", "email": "a",
        "gender": null}, "customer_id": "8ea6"}}"""
    await update_if_unchanged(now % phone)


@every("lose", [copy.copy, copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))])
async def test_a_copy_is_compared_by_its_fields(lose):
    """A copied or pickled record, like one of a list, is equal to the first and compared by what the model knows."""
    read = await Wire(answer(CUSTOMER)).client.customers.get("8ea6")
    before = lose(read)
    assert before == read
    now = copy.deepcopy(CUSTOMER)
    now["personal_information"]["new"] = 1
    await update_if_unchanged(now, before)
    now["personal_information"]["email"] = "c"
    with pytest.raises(ConflictError, match="email"):
        await update_if_unchanged(now, before)
