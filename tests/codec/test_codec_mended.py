"""Records mended at their misfits: the result and the warnings of `tolerant.records`."""

import json
import logging

import msgspec
import pytest
from attrs import Factory, field, frozen
from codec_records import anything, customer, customers
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async._base import codec
from carecloud_async._base.codec.tolerant import mended, records, warnings
from carecloud_async.models import Customer, PropertyRecord, User


@frozen
class Visit:
    """A class of one's own that has a field without a default."""

    place: str


@frozen
class Trip:
    """A class with such a one in a list."""

    visits: tuple[Visit, ...] = ()
    days: int = 3
    nights: int | None = None


@frozen
class Stay:
    """A class of one's own whose default is made for each instance."""

    nights: int | None = None
    notes: list = field(default=Factory(list))


@frozen
class Journey:
    """A class that may hold another one, or none, or a third."""

    stay: Stay | None = None
    trip: Trip | None = None
    trips: tuple[Trip, ...] | None = None
    either: Trip | int | None = None


def problem(value, into):
    """Return what msgspec says of a value's JSON; empty if it reads it."""
    try:
        msgspec.json.decode(json.dumps(value), type=into)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def copied(value):
    return json.loads(json.dumps(value))


def same(left, right):
    return left == right and codec.encode(left) == codec.encode(right)


def outcome(read):
    try:
        return read()
    except codec.Malformed as error:
        return str(error)


def told(read, caplog):
    """Return what a reading warns of, and its result."""
    warnings._reported.clear()
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="carecloud_async.codec"):
        found = read()
    return sorted(record.getMessage() for record in caplog.records), found


@given(customers(exact=False))
def test_any_customer_is_mended_as_cattrs_reads_it(record):
    """Whatever does not fit in a record and in however many fields, a mended record is what cattrs gives."""
    found = mended.structure(copied(record), Customer, problem=problem(record, Customer))
    assert same(found, records.structure(copied(record), Customer))


_MISFITS = (
    *("", "0000-00-00", "0000-00-00 00:00:00", "985-02-12", "7", " 7 ", "1.0", "true", "2019-02-03T10:11:12+02:00"),
    *([], {}, [None], [""], {"0": {}}, {"0": "a"}, 420, 2.5, True, None, [[]], [{"consent_value": "1"}, None, "x"]),
)
_values = anything | st.sampled_from(_MISFITS)
OPEN_FIELDS = ["property_value", "user_role_ids", "phone", "last_change", "last_login"]
PLACES = [
    ("customer_id",),
    ("state",),
    ("last_change",),
    ("doi_email",),
    ("personal_information",),
    ("personal_information", "phone"),
    ("personal_information", "gender"),
    ("personal_information", "birthdate"),
    ("personal_information", "address"),
    ("personal_information", "address", "zip"),
    ("personal_information", "agreement", "custom_agreements"),
    ("personal_information", "agreement", "custom_agreements", 0),
    ("personal_information", "agreement", "custom_agreements", 0, "agreement_value"),
    ("personal_information", "consents"),
    ("personal_information", "consents", 0, "last_change"),
]


def with_values(values):
    record = customer(consents=[{"consent_id": "c", "consent_value": 1, "last_change": "2019-06-23 11:47:22"}])
    for place, value in values.items():
        holder = record
        try:
            for step in place[:-1]:
                holder = holder[step]
            holder[place[-1]] = copied(value)
        except (LookupError, TypeError):
            continue  # another value has replaced what held it
    return record


@given(st.dictionaries(st.sampled_from(PLACES), _values, min_size=1, max_size=3))
def test_a_few_misfits_are_mended_as_cattrs_reads_them(values):
    """Up to three misfits in an otherwise exact record, at any depth and in lists, give what cattrs gives."""
    record = with_values(values)
    found = mended.structure(copied(record), Customer, problem=problem(record, Customer))
    assert same(found, records.structure(copied(record), Customer))


@given(
    st.sampled_from([PropertyRecord, User]),
    st.dictionaries(
        st.sampled_from(["property_value", "user_role_ids", "phone", "last_change", "last_login"]), _values
    ),
)
def test_open_values_are_mended_as_cattrs_reads_them(model, record):
    """Values of any kind beside misfits are kept as cattrs keeps them."""
    found = mended.structure(copied(record), model, problem=problem(record, model))
    assert same(found, records.structure(copied(record), model))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", ["0000-00-00", 420, "985-02-12", [], {"0": "a"}, "2019-02-03T10:11:12+02:00", ""])
def test_the_warnings_are_those_of_cattrs(place, value, caplog):
    """A misfit is reported once, in the same words and nothing besides."""
    record = with_values({place: value})
    said = problem(record, Customer)
    assert told(lambda: mended.structure(copied(record), Customer, problem=said), caplog) == told(
        lambda: records.structure(copied(record), Customer), caplog
    )


def test_a_misfit_leaves_the_rest_to_msgspec(monkeypatch):
    """Records with one or two misfits are never read by cattrs as a whole."""
    monkeypatch.setattr(records, "structure", None)
    for values in (
        {("personal_information", "phone"): 420},
        {("personal_information", "birthdate"): "0000-00-00", ("last_change",): "0000-00-00 00:00:00"},
        {("personal_information", "address"): []},
        {("personal_information", "consents", 0, "last_change"): "x"},
        {("personal_information", "consents"): ""},
    ):
        record = with_values(values)
        assert mended.structure(record, Customer, problem=problem(record, Customer)).customer_id


@pytest.mark.parametrize(
    "record",
    [
        {"visits": [{}]},
        {"visits": [{"place": "here"}, {"place": None}, {}], "days": "4"},
        {"days": "", "nights": ""},
        {"days": None, "nights": "x"},
        {"days": "x", "visits": {"3": {"place": 7}}},
        {"visits": ["x", None]},
        [],
        "x",
        7,
    ],
)
def test_classes_without_defaults_are_mended_or_refused_as_by_cattrs(record):
    """A class of one's own gives the same instance, or the same refusal."""
    found = outcome(lambda: mended.structure(copied(record), Trip, problem=problem(record, Trip)))
    assert found == outcome(lambda: records.structure(copied(record), Trip))


@pytest.mark.parametrize(
    "record",
    [
        {"stay": {"nights": "7"}},
        {"stay": {"notes": "x"}},
        {"trip": {"days": "7"}, "stay": None},
        {"trip": {"visits": [{}]}},
        {"trip": {"visits": [{"place": 7}, {"place": "here"}]}},
        {"trips": [{"days": "7"}, {"nights": "x"}]},
        {"trips": None, "trip": {"nights": "x"}},
        {"either": {"days": "7"}},
        {"either": "7", "stay": 7},
    ],
)
def test_classes_of_ones_own_are_mended_or_refused_as_by_cattrs(record):
    """Unions and made defaults give the same instance, or the same refusal."""
    found = outcome(lambda: mended.structure(copied(record), Journey, problem=problem(record, Journey)))
    assert found == outcome(lambda: records.structure(copied(record), Journey))
