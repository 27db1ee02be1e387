"""Fields that most records leave out: set before a record is read, with the same result."""

import copy
import json
import pickle

import pytest
from attrs import evolve, field, frozen

from carecloud_async import codec
from carecloud_async.codec.absent import set_before_reading
from carecloud_async.codec.tolerant import records
from carecloud_async.models import Customer, PersonalInformation
from carecloud_async.models.base import SELDOM, Model

BEGUN = "__attrs_pre_init__"


@frozen(kw_only=True, repr=False)
class Visit(Model):
    visit_id: str
    left_at: str | None = field(default=None, metadata=SELDOM)
    note: str | None = field(default=None, metadata=SELDOM)
    rating: int | None = None


@frozen(kw_only=True, repr=False)
class Stay(Visit):
    room: str | None = field(default=None, metadata=SELDOM)


def read(value, into):
    """Read one record of a page by the fast path."""
    page = codec.page(json.dumps({"data": {"records": [value]}}).encode(), key="records", into=into)
    return page.items[0]


@pytest.mark.parametrize(
    "given", [{}, {"left_at": "noon"}, {"note": None}, {"left_at": "noon", "note": "late", "rating": 3}]
)
def test_a_field_is_what_the_record_says_or_none(given):
    """What a record brings is kept, what it leaves out is None, as cattrs has it."""
    record = {"visit_id": "v"} | given
    found = read(record, Visit)
    assert found == records.structure(record, Visit)
    assert (found.left_at, found.note, found.rating) == tuple(given.get(name) for name in ("left_at", "note", "rating"))


def test_a_field_without_a_default_is_still_missed():
    """A record without its id is refused by msgspec, and read by cattrs with an empty id."""
    assert read({"note": "late"}, Visit) == Visit(visit_id="", note="late")


def test_a_class_on_top_of_another_sets_the_fields_of_both():
    """A subclass begins with the fields of its base and its own, and is made by hand as any other."""
    blank = object.__new__(Stay)
    getattr(blank, BEGUN)()
    assert (blank.left_at, blank.note, blank.room) == (None, None, None)
    assert read({"visit_id": "v", "room": "5"}, Stay) == Stay(visit_id="v", room="5")
    assert Stay(visit_id="v", note="late", room="5").note == "late"


def test_objects_made_by_hand_are_not_begun():
    """The `__init__` of a model does not pay for what only reading needs."""
    assert BEGUN not in Customer.__init__.__code__.co_names
    assert Customer(customer_id="c").doi_email is None


def test_the_others_are_left_to_the_record():
    """Only what most records leave out is set beforehand: it costs those that bring it."""
    blank = object.__new__(PersonalInformation)
    getattr(blank, BEGUN)()
    assert blank.photo_url is None
    assert not hasattr(blank, "email")


def test_a_record_that_was_read_is_a_value_like_any_other():
    """It is frozen, and can be copied, pickled and evolved."""
    found = read({"customer_id": "c", "doi_phone": "2024-01-02 03:04:05"}, Customer)
    assert copy.deepcopy(found) == pickle.loads(pickle.dumps(found)) == found
    assert evolve(found, doi_phone=None) == Customer(customer_id="c")
    with pytest.raises(AttributeError):
        found.doi_email = None


def test_one_field_is_enough():
    """A class may have a single such field."""

    @frozen
    class Note:
        text: str | None = None

    set_before_reading(Note, ["text"])
    assert read({}, Note) == Note()
    assert read({"text": "t"}, Note) == Note("t")
