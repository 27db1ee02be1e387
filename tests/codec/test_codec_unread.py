"""Pages whose records are read a few at a time: the records of the page at once, in bounded steps."""

import copy
import json
from dataclasses import dataclass

import pytest
from codec_records import answer, anything, customer, customers, page_of
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async._base import codec
from carecloud_async._base.codec import pages
from carecloud_async.models import Customer, Store


def read_all(records):
    """Return all records and the size of each batch; no batch is kept while the next one is read."""
    found, sizes = [], []
    for batch in records.batches():
        sizes.append(len(batch))
        found += map(copy.copy, batch)
        del batch
    return found, sizes


@pytest.fixture(autouse=True)
def _no_history():
    pages.history_of(Customer).has_misfits = False


def unread_page(body, into=Customer, key="customers", **options):
    """Return a page whose records are all still to be read, however small it is."""
    return codec.unread_page(body, key=key, into=into, small_page=0, **options)


@given(st.lists(customers(exact=True) | customers(exact=False) | st.none(), max_size=8), st.integers(1, 3000))
def test_records_read_later_are_those_of_the_page(records, few):
    """Whatever a page holds and however few are read at a time, its records are those of the page at once."""
    body = page_of(records)
    page = unread_page(body, slice_size=few)
    found = read_all(page)[0]
    whole = codec.page(body, key="customers", into=Customer)
    assert (page.received, page.total_items) == (whole.received, whole.total_items)
    assert found == whole.items
    assert [*page.batches()] == page.read() == []


@pytest.mark.parametrize(("people", "phone", "is_read"), [(50, "420", True), (50, 420, False), (2000, "420", False)])
def test_only_small_exact_pages_are_read_at_once(people, phone, is_read):
    """A page that is large or has misfits waits until it is wanted."""
    page = codec.unread_page(page_of([customer(phone=phone)] * people), key="customers", into=Customer)
    assert isinstance(page, codec.Page) == is_read


def test_small_pages_are_read_at_once_again_after_an_exact_one():
    """A page with misfits makes the next one wait; an exact one that was read ends that."""
    exact, misfit = page_of([customer()] * 3), page_of([customer(phone=420)] * 3)
    kinds = []
    for body in (misfit, exact, exact):
        page = codec.unread_page(body, key="customers", into=Customer)
        kinds.append(type(page))
        if not isinstance(page, codec.Page):
            read_all(page)
    assert kinds == [codec.UnreadPage, codec.UnreadPage, codec.Page]


def test_steps_are_short():
    """At most 40 KiB of records are decoded at a time, fewer with misfits, and at most 250 are handed out."""
    sizes = {}
    for phone in ("420", 420):
        records = unread_page(page_of([customer(phone=phone)] * 3000))
        sizes[phone] = len(records.read())
    record = len(json.dumps(customer(phone="420")))
    assert 40 < sizes["420"] <= pages.SLICE / record + 1
    assert sizes[420] <= sizes["420"] / 4 + 1
    assert max(read_all(unread_page(page_of([{"customer_id": "1"}] * 3000)))[1]) == 250


def test_a_model_with_renamed_fields_is_read_later_too():
    """A model that msgspec cannot read is read by cattrs, in steps."""
    stores = [{"store_id": str(number), "name": "x" * 100} for number in range(5000)]
    found, steps = read_all(unread_page(answer({"stores": stores}), Store, "stores"))
    assert [store.store_id for store in found] == [store["store_id"] for store in stores]
    assert len(steps) > 5


@pytest.mark.parametrize("damage", [b'"state": \\x}]', b'"state": 1, }]', b'"state": 1}'])
def test_damage_is_found_before_anything_is_read(damage):
    """A page that is no JSON is refused as a whole, wherever it is damaged."""
    body = page_of([customer()] * 20).replace(b'"state": 1}]', damage)
    with pytest.raises(codec.Malformed):
        unread_page(body)


def test_bad_text_is_mended_when_its_record_is_read():
    """Bytes that are no UTF-8 become U+FFFD in their record, and harm no other."""
    body = page_of([customer(first_name=name) for name in ("Eva", "J\x00n", "Jan")]).replace(b"\\u0000", b"\xff")
    found, _ = read_all(unread_page(body))
    assert [record.personal_information.first_name for record in found] == ["Eva", "J\ufffdn", "Jan"]


def test_an_error_comes_again():
    """A record that cannot be read is not passed over by reading on."""
    refuses = True

    @dataclass
    class Person:
        state: int

        def __post_init__(self):
            if refuses and self.state == 2:
                raise ValueError

    records = unread_page(page_of([{"state": 1}, {"state": 2}]), into=Person)
    for _ in range(2):
        with pytest.raises(codec.Malformed):
            next(records.batches())
    assert len(records) == 2
    refuses = False
    assert [record.state for record in read_all(records)[0]] == [1, 2]


@given(st.lists(st.fixed_dictionaries({}, optional={"customer_id": st.text(max_size=3) | anything, "state": anything})))
def test_keys_are_those_of_the_records(records):
    """Records are compared by their id as the model has it, and by their whole content if they have none."""
    page = unread_page(page_of(records))
    keys = list(page.keys("customer_id"))
    assert len(keys) == len(records)
    for key, record in zip(keys, records, strict=True):
        named = record.get("customer_id")
        if isinstance(named, str) and named:
            assert key == named == codec.structure(record, Customer).customer_id
        elif type(named) is int:
            assert key == str(named) == codec.structure(record, Customer).customer_id
        else:
            assert json.loads(key) == record
    assert [json.loads(key) for key in page.keys(None)] == records
    assert len(page) == len(records)
