"""What an update sends back: the named changes, and all else as the server wrote it."""

import copy
import json
import pickle

import anyio
import pytest
from every import every
from hypothesis import given
from hypothesis import strategies as st
from resource_wire import Wire, answer

from carecloud_async import AgreementInput
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


_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
_texts = st.text(max_size=5).map(json.dumps)
_raw = st.recursive(
    _numbers | _texts | st.sampled_from(["true", "false", "null", '"\\u0000"', '"\\/"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + " ,".join(items) + "]")
        | st.lists(st.tuples(_texts, inner), max_size=3).map(
            lambda items: "{ " + ",\n".join(f"{name} : {value}" for name, value in items) + "}"
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.from_regex("x[a-z]{1,4}", fullmatch=True), _raw, min_size=1, max_size=4),
    st.sampled_from(["", " ", "\n\t"]),
)
def test_any_json_is_sent_as_it_stands(fields, blank):
    """Whatever the server writes in a field that is not named reaches it again byte for byte."""
    parts = ",".join(f'"{name}"{blank}:{blank}{value}{blank}' for name, value in fields.items())
    compact = ",".join(f'"{name}":{value}' for name, value in fields.items())
    assert put_person(parts.encode()) == compact.encode()


@every("value", [b'"\\ud800"', b"NaN", b'"a\tb"', b"[" * 100_000])
def test_a_record_that_cannot_be_sent_back_is_refused(value):
    """A record that is no valid JSON is read, but never written again: nothing is sent, and it is not in the error."""
    wire = Wire(b'{"data":%b}' % person(b'"new":%b' % value))

    async def work():
        await wire.client.customers.update("8ea6", {"personal_information": {"email": "b"}})

    with pytest.raises(ResponseError, match=r"not JSON|too deeply"):
        anyio.run(work)
    assert wire.titles == ["GET /customers/8ea6"]


CUSTOMER = {"customer_id": "8ea6", "personal_information": {"email": "a", "birthdate": "985-02-12", "phone": 1}}


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


@every("phone", [b'"1"', b"1", b"1.0", b"10e-1"])
async def test_another_spelling_is_no_change(phone):
    """The order of fields, blanks, a null for nothing and another spelling of a number change nothing."""
    now = b"""{ "data" : {"personal_information": {"phone": %b, "birthdate": "985-02-12", "email": "a",
        "gender": null}, "customer_id": "8ea6"}}"""
    await update_if_unchanged(now % phone)


@every("lose", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
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
