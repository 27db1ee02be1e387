"""What an update sends back: the named changes, and all else as the server wrote it."""

import copy
import json
import pickle
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resource_wire import Wire, answer

from carecloud_async import AgreementInput
from carecloud_async._base import codec
from carecloud_async._base.codec.raw_json import RawJson, elements, exact, members
from carecloud_async.errors import ConfigurationError, ConflictError
from carecloud_async.resources.bookings import Bookings
from carecloud_async.resources.cards import Entrances
from carecloud_async.resources.customers import Customers
from carecloud_async.resources.merge import merge, require_shown
from carecloud_async.resources.stores import Stores

pytestmark = pytest.mark.anyio

RULES = Customers._merge_rules()
IDS = {"customer_id": "8ea6"}

#: Values that reading and writing would change.
VERBATIM = [
    b"0.12345678901234567890",
    b"1e400",
    b"-0.0",
    b"1.10",
    b"123456789012345678901234567890",
    b'"\\ud800"',
    b'"\\u00e9"',
    b'"\xff"',
    b'{"b": 1.0,  "a": null, "a": 2}',
    b"null",
    b'[1e1, "\\udfff", {"x": null}]',
]


def merged(record, changes=None):
    return merge(RawJson(record), changes or {}, rules=RULES, ids=IDS)


def body(record, changes=None):
    """The customer that would be sent, as JSON."""
    return codec.encode(merged(record, changes).body["customer"])


@pytest.mark.parametrize("value", VERBATIM, ids=range(len(VERBATIM)))
def test_unknown_fields_go_back_byte_for_byte(value):
    """Numbers, escapes, broken text and blanks of what the SDK does not know are sent as the server wrote them."""
    record = b'{"personal_information": {"email": "a", "new": %b}, "newer" : %b}' % (value, value)
    sent = body(record, {"personal_information": {"email": "b"}})
    assert sent == b'{"personal_information":{"email":"b","new":%b},"newer":%b}' % (value, value)


@pytest.mark.parametrize("value", [b"1.0", b"1e400", b'"2"', b"0.12345678901234567890", b"NaN"])
def test_known_numbers_go_back_byte_for_byte(value):
    """A field that is a number to the model is not rewritten either."""
    assert body(b'{"personal_information":{"gender":%b}}' % value) == b'{"personal_information":{"gender":%b}}' % value


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (b"420777123456", b'"420777123456"'),
        (b"-1", b'"-1"'),
        (b"11000.0", b'"11000"'),
        (b"4.2e11", b'"420000000000"'),
        (b"0.12345678901234567890", b'"0.12345678901234567890"'),
        (b"1234567890123456789012345678901234567890123", b'"1234567890123456789012345678901234567890123"'),
        (b"1e400", b"1e400"),
        (b"1e99999999999999999999", b"1e99999999999999999999"),
    ],
)
def test_a_number_in_a_known_text_goes_back_as_text(number, text):
    """A phone that the server wrote as a number is sent as the text that it means; an absurd number stays one."""
    record = b'{"personal_information":{"phone":%b,"address":{"zip":%b}}}' % (number, number)
    assert body(record) == b'{"personal_information":{"phone":%b,"address":{"zip":%b}}}' % (text, text)


def test_a_list_that_php_wrote_as_an_object_goes_back_as_a_list():
    """A list with gaps comes with its numbers as names; it is sent as a list, without what the server alone writes."""
    record = b"""{"personal_information":{"consents":{"0":{"consent_id":7,"last_change":"2026-01-02 03:04:05"},
        "2":{"consent_id":"b","new":1}}}}"""
    sent = {"personal_information": {"consents": [{"consent_id": "7"}, {"consent_id": "b", "new": 1}]}}
    assert json.loads(body(record)) == sent
    assert merged(record, {"personal_information": {"email": "b"}}).changed == ("personal_information.email",)
    strange = b'{"personal_information":{"consents":{"total":2}}}'
    assert body(strange) == strange


def test_a_null_that_only_came_from_the_read_is_left_out():
    """Known nulls go at any depth, in lists too; a null that is named is sent, and unknown ones are kept."""
    record = b"""{"personal_information": {"gender": null, "address": {"city": null, "zip": "1"}, "email": "a",
        "consents": [null, {"consent_id": 7, "consent_value": null, "new": null}], "new": null}}"""
    sent = json.loads(body(record, {"personal_information": {"email": None}}))
    assert sent == {
        "personal_information": {
            "address": {"zip": "1"},
            "email": None,
            "consents": [{"consent_id": "7", "new": None}],
            "new": None,
        }
    }


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({}, ()),
        ({"personal_information": {"email": "a", "phone": "420", "gender": 1}}, ()),
        ({"personal_information": {"birthdate": date(1985, 2, 12), "last_name": None, "store_id": None}}, ()),
        ({"personal_information": {"address": {"city": None}, "consents": [{"consent_id": "c"}]}}, ()),
        ({"personal_information": {"email": "b", "gender": 2}}, ("email", "gender")),
        ({"personal_information": {"phone": None, "last_name": ""}}, ("phone", "last_name")),
        ({"personal_information": {"address": {"city": "Brno"}}}, ("address.city",)),
        ({"personal_information": {"consents": []}}, ("consents",)),
    ],
)
def test_the_changed_fields_are_named(changes, changed):
    """A value that the record has already, in whatever spelling, is no change; null is the same as nothing."""
    record = b"""{"customer_id": "8ea6", "personal_information": {"email": "a", "phone": 420, "gender": 1,
        "birthdate": "1985-02-12", "last_name": null, "address": [],
        "consents": [{"consent_id": "c", "last_change": "2026-01-01 00:00:00"}]}}"""
    assert sorted(merged(record, changes).changed) == sorted(f"personal_information.{name}" for name in changed)


def with_consents(consents):
    return b'{"personal_information":{"agreement":{"agreement_gtc":1},"consents":%b}}' % consents


CONSENTS = b'[{"consent_id":"c","consent_value":1}]'


@pytest.mark.parametrize("agreement", [{"agreement_gtc": 0}, AgreementInput(agreement_gtc=0), None])
def test_older_consents_are_never_changed_in_vain(agreement):
    """The API ignores `agreement` next to `consents`: a change of it alone is refused, unless these are empty."""
    change = {"personal_information": {"agreement": agreement}}
    with pytest.raises(ConfigurationError, match=r"the API ignores .* name personal_information\.consents in"):
        merged(with_consents(CONSENTS), change)
    for empty in (b"[]", b"null", b'""'):
        assert "consents" not in json.loads(body(with_consents(empty), change))["personal_information"]


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "b"},
        {"email": "b", "agreement": {"agreement_gtc": 1}},
        {"agreement": {"agreement_gtc": 0}, "consents": [{"consent_id": "c", "consent_value": 1}]},
        {"agreement": {"agreement_gtc": 0}, "consents": [{"consent_id": "c", "consent_value": 0}]},
    ],
)
def test_consents_go_back_beside_the_older_ones(changes):
    """Both are sent as the server wrote them, or as the changes name them: then `consents` take effect."""
    sent = json.loads(body(with_consents(CONSENTS), {"personal_information": changes}))["personal_information"]
    assert sent["consents"] == changes.get("consents", json.loads(CONSENTS))


@pytest.mark.parametrize("empty", [b"[]", b"null", b'""'])
@pytest.mark.parametrize("agreement", [{}, {"agreement_gtc": 0}])
def test_empty_consents_do_not_stand_in_front_of_the_older_ones(empty, agreement):
    """Next to `consents`, though empty, the API would ignore the `agreement` that goes back; they count as stored."""
    change = {"personal_information": {"email": "b", "agreement": agreement}}
    record = with_consents(empty)
    sent = json.loads(body(record, change))["personal_information"]
    assert sent == {"email": "b", "agreement": {"agreement_gtc": 1} | agreement}
    stored = {**sent, "consents": json.loads(empty)}
    assert merged(record, change).is_sent(RawJson(json.dumps({"personal_information": stored}).encode()))


@pytest.mark.parametrize("empty", [b"{}", b"{ }", b"[]", b"[ ]", b"null", b'""'])
def test_an_object_that_is_not_shown_is_never_emptied(empty):
    """A record that shows an empty object where every record has one is not sent back, however it is written."""
    with pytest.raises(ConfigurationError, match="personal_information: the server does not show it"):
        require_shown(RawJson(b'{"personal_information":%b}' % empty), Customers._merge_rules())


def test_an_id_that_the_record_repeats_is_no_change():
    """The id of the path is in the body whether or not the record has it, and does not count as changed."""
    for record in (b"{}", b'{"entrance_id":"8ea6"}'):
        found = merge(RawJson(record), {}, rules=Entrances._merge_rules(), ids={"entrance_id": "8ea6"})
        assert found.changed == ()
        assert found.is_sent(RawJson(record))
        assert json.loads(codec.encode(found.body)) == {"entrance": {"entrance_id": "8ea6"}}


def test_what_is_never_read_back_counts_as_changed():
    """A password stands beside the record, and is a change whenever it is named."""
    found = merged(b"{}", {"password": None})
    assert found.changed == ("password",)
    assert set(found.body) == {"customer", "password"}
    assert not found.is_visible


def test_objects_in_lists_are_like_others():
    """In a list of a list too, nulls are left out, texts stay texts and the rest is what the server wrote."""
    record = b'{"opening": [{"new": 1.50, "day_id": 3, "time_intervals": [{"from": "8:00", "to": null, "x": 1.0}]}]}'
    sent = merge(RawJson(record), {}, rules=Stores._merge_rules(), ids={"store_id": "s"})
    day = b'{"new":1.50,"day_id":"3","time_intervals":[{"from":"8:00","x":1.0}]}'
    assert codec.encode(sent.body) == b'{"store":{"opening":[%b]}}' % day


_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
_texts = st.text(max_size=5).map(json.dumps) | st.sampled_from(['"\\ud800"', '"\\udfff x"', '"\\u0000"'])
_blanks = st.sampled_from(["", " ", "\n\t"])
_raw = st.recursive(
    _numbers | _texts | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + " ,".join(items) + "]")
        | st.lists(st.tuples(_texts, inner), max_size=3).map(
            lambda items: "{ " + ",\n".join(f"{name} : {value}" for name, value in items) + "}"
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex("x[a-z]{1,4}", fullmatch=True), _raw, max_size=4), _blanks)
def test_any_json_is_cut_and_sent_as_it_stands(fields, blank):
    """Whatever the server writes in a field that is not named reaches it again byte for byte."""
    parts = [f'"{name}"{blank}:{blank}{value}{blank}' for name, value in fields.items()]
    record = ("{" + blank + ",".join(parts) + "}").encode()
    assert {name: bytes(value) for name, value in members(RawJson(record)).items()} == {
        name: value.encode() for name, value in fields.items()
    }
    compact = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"
    assert body(record) == compact.encode()
    assert merged(record).changed == ()


@given(st.lists(_raw, max_size=4))
def test_any_list_is_cut(items):
    """The elements of a list are cut as they stand."""
    assert elements(RawJson(("[ " + " , ".join(items) + " ]").encode())) == [item.encode() for item in items]


@given(_numbers, _numbers)
def test_numbers_are_equal_by_value(one, other):
    """Two spellings of a number are equal if they mean the same, to the last digit, and no boolean is a number."""
    assert (exact(one.encode()) == exact(other.encode())) == (Decimal(one) == Decimal(other))
    assert exact(one.encode()) not in (True, False, one)


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"a":1}x', b'{"a":1,}', b'{"a" 1}', b"{1:1}", b'{"a":}'])
def test_record_that_is_no_object_is_refused(broken):
    """A record that is no JSON object is an error that does not hold it."""
    with pytest.raises(codec.Malformed) as caught:
        members(RawJson(broken))
    assert caught.value.__context__ is None


def test_record_nested_too_deeply_is_refused():
    """Brackets without an end do not exhaust the stack."""
    with pytest.raises(codec.Malformed, match="too deeply"):
        members(RawJson(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"))


CUSTOMER = {"customer_id": "8ea6", "personal_information": {"email": "a", "birthdate": "985-02-12", "phone": 1}}


async def read():
    return await Customers(Wire(answer(CUSTOMER))).get("8ea6")


async def update_if_unchanged(now, before):
    wire = Wire(now if isinstance(now, bytes) else answer(now), b"")
    await Customers(wire).update("8ea6", {"personal_information": {"email": "b"}}, if_unchanged=before)


@pytest.mark.parametrize(
    ("person", "field"),
    [
        ({"birthdate": "986-02-12"}, "birthdate"),
        ({"birthdate": "0000-00-00"}, "birthdate"),
        ({"new": 1}, "new"),
        ({"new": {"deep": [1.5]}}, "new"),
        ({"email": "c"}, "email"),
        ({"phone": 2}, "phone"),
    ],
)
async def test_a_change_that_models_do_not_show_is_seen(person, field):
    """`if_unchanged` of a record from `get` sees unknown fields and unreadable dates change."""
    now = copy.deepcopy(CUSTOMER)
    now["personal_information"] |= person
    with pytest.raises(ConflictError) as caught:
        await update_if_unchanged(now, await read())
    assert caught.value.fields == (f"personal_information.{field}",)


async def test_another_spelling_is_no_change():
    """The order of fields, blanks, a null for nothing and a text for a number change nothing."""
    now = b"""{ "data" : {"personal_information": {"phone": "1", "birthdate": "985-02-12", "email": "a",
        "gender": null}, "customer_id": "8ea6"}}"""
    await update_if_unchanged(now, await read())


@pytest.mark.parametrize("lose", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
async def test_a_copy_is_compared_by_its_fields(lose):
    """A copied or pickled record, like one of a list, is equal to the first and compared by what the model knows."""
    before = lose(await read())
    assert before == await read()
    now = copy.deepcopy(CUSTOMER)
    now["personal_information"]["new"] = 1
    await update_if_unchanged(now, before)
    now["personal_information"]["email"] = "c"
    with pytest.raises(ConflictError, match="email"):
        await update_if_unchanged(now, before)


async def test_what_a_put_does_not_take_is_compared_too():
    """A booking's items are not sent, and their change is a conflict all the same."""
    booking = {"booking_id": "b", "booking_items": [{"booking_item_id": "i", "new": 1}]}
    before = await Bookings(Wire(answer(booking))).get("b")
    now = {"booking_id": "b", "booking_items": [{"booking_item_id": "i", "new": 2}]}
    with pytest.raises(ConflictError, match="booking_items"):
        await Bookings(Wire(answer(now))).update("b", {"data": 1}, if_unchanged=before)
