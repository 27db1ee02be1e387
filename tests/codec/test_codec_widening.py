"""Fields known to be at fault, left open: the result and the warnings of the lenient path, in one pass."""

import json

import pytest
from attrs import Factory, field, frozen
from codec_records import customers
from hypothesis import given
from hypothesis import strategies as st
from test_codec_mending import OPEN_FIELDS, PLACES, Trip, _values, copied, problem, same, told, with_values

from carecloud_async import codec
from carecloud_async.codec import lenient, mending, widening
from carecloud_async.models import Consent, Customer, PersonalInformation, PropertyRecord, User


@frozen
class Stay:
    """A class of one's own whose default is made anew for each instance."""

    nights: int | None = None
    notes: list = field(default=Factory(list))


@frozen
class Journey:
    """A class that may hold another one, or none, or a third."""

    stay: Stay | None = None
    trip: Trip | None = None
    trips: tuple[Trip, ...] | None = None
    either: Trip | int | None = None


@pytest.fixture(autouse=True)
def _quick_learner(monkeypatch):
    """Leave a field open from the first time on, and know of none yet."""
    monkeypatch.setattr(widening, "_OFTEN", 1)
    widening.known_faults.cache_clear()
    yield
    widening.known_faults.cache_clear()


def read(record, into=Customer):
    """Read a record from its JSON, as it is read when msgspec has refused it."""
    return mending.read_untidy(json.dumps(record).encode(), into, problem=problem(record, into))


def outcome(function):
    try:
        return function()
    except codec.Malformed as error:
        return str(error)


@given(st.lists(customers(tidy=False), min_size=1, max_size=4))
def test_any_untidy_customer_is_as_the_lenient_path_reads_it(records):
    """Whatever was at fault in the records before, each is read as the lenient path reads it."""
    for record in records:
        assert same(read(record), lenient.structure(copied(record), Customer))


@given(st.lists(st.dictionaries(st.sampled_from(PLACES), _values, max_size=3), min_size=2, max_size=5))
def test_a_few_fields_at_fault_are_as_the_lenient_path_reads_them(changes):
    """Faults at any depth and in lists, known and new, or tidy values in their place: the lenient path's record."""
    for values in changes:
        record = with_values(values)
        found, expected = read(record), lenient.structure(copied(record), Customer)
        assert same(found, expected)
        assert type(found) is Customer
        assert type(found.personal_information) is PersonalInformation
        assert {type(consent) for consent in found.personal_information.consents} <= {Consent}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([PropertyRecord, User]), st.dictionaries(st.sampled_from(OPEN_FIELDS), _values, min_size=1)
        ),
        max_size=5,
    )
)
def test_open_values_are_as_the_lenient_path_reads_them(records):
    """Values of any kind beside fields at fault are kept as the lenient path keeps them."""
    for model, record in records:
        assert same(read(record, model), lenient.structure(copied(record), model))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", ["0000-00-00", 420, "985-02-12", [], {"0": "a"}, "2019-02-03T10:11:12+02:00", ""])
def test_the_warnings_are_those_of_the_lenient_path(place, value, caplog):
    """A field that is open is reported once, in the same words and nothing besides."""
    record = with_values({place: value})
    read(record)
    read(record)
    assert told(lambda: read(record), caplog) == told(lambda: lenient.structure(copied(record), Customer), caplog)


FAULTS = [
    {("personal_information", "phone"): 420},
    {("personal_information", "birthdate"): "0000-00-00", ("last_change",): "0000-00-00 00:00:00"},
    {("personal_information", "address"): []},
    {("personal_information", "consents", 0, "last_change"): "x"},
    {("personal_information", "address", "zip"): 11000},
]


def test_faults_that_are_known_are_read_in_one_pass(monkeypatch):
    """Once each of them was seen, no record with such faults is mended, and none takes the lenient path."""
    for values in [*FAULTS, *FAULTS]:
        read(with_values(values))
    monkeypatch.setattr(mending, "structure_untidy", None)
    monkeypatch.setattr(lenient, "structure", None)
    for values in FAULTS:
        assert read(with_values(values)).customer_id


def test_a_fault_is_known_once_it_is_frequent(monkeypatch):
    """Fields that are seldom at fault are not left open: that takes longer than mending them."""
    monkeypatch.setattr(widening, "_OFTEN", 3)
    known = widening.known_faults(Customer)
    raw = json.dumps(with_values(FAULTS[0])).encode()
    found = []
    for _ in range(4):
        found.append(known.read(raw) is not None)
        read(with_values(FAULTS[0]))
    assert found == [False, False, False, True]


def test_a_few_fields_are_left_open_and_no_more(monkeypatch):
    """With more fields at fault than are left open, every record still arrives as it should."""
    monkeypatch.setattr(widening, "_MOST_OPEN", 2)
    monkeypatch.setattr(widening, "_MOST_COUNTED", 4)
    for values in [*FAULTS, *FAULTS, *FAULTS]:
        record = with_values(values)
        assert same(read(record), lenient.structure(copied(record), Customer))


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
def test_classes_of_ones_own_are_read_or_refused_as_by_the_lenient_path(record):
    """Unions, made defaults and fields without a default give the same instance or the same refusal, every time."""
    for _ in range(3):
        expected = outcome(lambda: lenient.structure(copied(record), Journey))
        assert outcome(lambda: read(record, Journey)) == expected
