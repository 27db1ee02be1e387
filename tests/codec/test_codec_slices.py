"""Pages in slices: the same result as at once, and no slice that goes on and on."""

import json

import msgspec
import pytest
from attrs import frozen
from codec_records import answer, anything, customer, customers, page_of
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from carecloud_async._base import codec
from carecloud_async._base.codec import lists, targets
from carecloud_async.models import Customer, Store


class Slot(BaseModel):
    """A pydantic class of the user's."""

    slot_id: str


@frozen
class Row:
    """An attrs class of the user's."""

    a: int
    b: str | None = None


def sliced(slices):
    """Run a computation and return its result and the number of its slices."""
    number = 0
    while True:
        number += 1
        try:
            next(slices)
        except StopIteration as end:
            return end.value, number


def in_small_slices(body, *, key, into, size=100):
    """Cut a page however small it is, and end a slice after two or three records."""
    return sliced(codec.page_slices(body, key=key, into=into, whole_page=0, slice_size=size))


@given(st.lists(customers(exact=True) | customers(exact=False) | st.none(), max_size=6), st.integers(1, 3000))
def test_slices_of_any_size_give_the_page_at_once(records, size):
    """A page that is cut and read in slices holds what it holds when every record is read alone."""
    body = page_of(records)
    found, _ = in_small_slices(body, key="customers", into=Customer, size=size)
    expected = [codec.record(answer(record), Customer) for record in records if record is not None]
    assert (found.items, found.received, found.total_items) == (expected, len(records), len(records))


def test_a_small_exact_page_is_one_slice():
    """A hundred customers are decoded at once."""
    body = page_of([customer()] * 100)
    codec.page(body, key="customers", into=Customer)  # the page before was exact
    found, slices = sliced(codec.page_slices(body, key="customers", into=Customer))
    assert (len(found.items), slices) == (100, 1)


@pytest.mark.parametrize("birthdate", ["1985-02-12", "985-02-12"])
def test_a_large_page_is_decoded_in_slices(birthdate):
    """Of five thousand customers, exact or not, no slice decodes more than six hundred."""
    body = page_of([customer(birthdate=birthdate)] * 5000)
    found, slices = sliced(codec.page_slices(body, key="customers", into=Customer))
    assert len(found.items) == 5000
    assert slices >= 9


def test_records_with_misfits_count_for_more():
    """A page of records with misfits is cut into more slices than an exact one."""
    counts = [
        sliced(codec.page_slices(page_of([customer(phone=phone)] * 3000), key="customers", into=Customer))[1]
        for phone in ("420", 420)
    ]
    assert counts[1] > 2 * counts[0]


def test_pages_after_one_with_misfits_are_read_right():
    """What was learnt from a page with misfits changes nothing in those after it."""
    exact, misfit = page_of([customer()] * 3), page_of([customer(), customer(phone=420), None])
    for body in (misfit, exact, exact, misfit, misfit, exact):
        fresh = [codec.structure(each, Customer) for each in json.loads(body)["data"]["customers"] if each]
        assert codec.page(body, key="customers", into=Customer).items == fresh


def test_a_model_with_renamed_fields_is_read_in_slices():
    """A model that msgspec cannot read is read by cattrs, in slices too."""
    stores = [{"store_id": str(number), "name": "x" * 100} for number in range(5000)]
    found, slices = sliced(codec.page_slices(answer({"stores": stores}), key="stores", into=Store))
    assert [store.store_id for store in found.items] == [store["store_id"] for store in stores]
    assert slices > 1


def test_damage_in_a_late_slice_is_found():
    """A record that is no JSON makes the whole page a damaged one, wherever it stands."""
    body = page_of([customer()] * 20).replace(b'"state": 1}]', b'"state": \\x}]')
    with pytest.raises(codec.Malformed):
        in_small_slices(body, key="customers", into=Customer)


def at_once(body, key, into):
    """Return the page as plain values are read, without cutting it."""
    found, read = codec.data(body), targets.value_reader(into)
    records = found[key or lists.only_list(found)]
    items = [read(record) for record in records if record is not None]
    total = found.get("total_items")
    return codec.Page(items=items, total_items=None if total is None else int(total), received=len(records))


@pytest.mark.parametrize("key", ["rows", None])
@pytest.mark.parametrize("into", [dict, Row, Slot, Customer])
def test_any_type_is_read_in_slices_as_at_once(into, key):
    """Dicts, classes of one's own, pydantic models and read models come out of slices as of one go."""
    record = {dict: {"a": 1}, Row: {"a": 1, "b": "0000-00-00"}, Slot: {"slot_id": "s"}}.get(into, {"customer_id": "c"})
    body = answer({"rows": [record, None, *[record] * 50], "total_items": "52"})
    found, slices = in_small_slices(body, key=key, into=into)
    assert found == at_once(body, key, into)
    assert slices > 5


@pytest.mark.parametrize("key", ["rows", None])
@pytest.mark.parametrize("damage", [b'"\\ud800"', b'"\xff"'])
def test_a_page_with_damaged_text_is_read_in_slices_too(damage, key):
    """A page with one lone surrogate or bad byte among open records is mended in slices, not read at once."""
    body = b'{"data":{"rows":[{"a":%b}%b]}}' % (damage, b',{"a":"x"}' * 50)
    found, slices = in_small_slices(body, key=key, into=dict)
    assert found.items == [{"a": "\ufffd"}, *[{"a": "x"}] * 50]
    assert slices > 5


@given(st.lists(st.dictionaries(st.text(max_size=5), anything, max_size=3), min_size=8, max_size=12))
def test_open_records_in_slices_are_those_at_once(records):
    """Records of any content, as dicts, are the same in slices and at once."""
    body = answer({"rows": records, "total_items": len(records)})
    found, slices = in_small_slices(body, key="rows", into=dict, size=40)
    assert found == at_once(body, "rows", dict)
    assert slices > 1


@pytest.mark.parametrize(
    "date", [b'"0000-00-00"', b'"0000-00-00 00:00:00"', b'"\\u0030000-00-00"', b'["0000-00-00"]', b'{"x":"0000-00-00"}']
)
def test_zero_dates_of_open_records_are_null_in_slices_too(date):
    """Zero dates are null wherever they stand in a record and however they are written."""
    body = b'{"data":{"rows":[%b]}}' % b",".join(b'{"a":%b,"b":"text of some length"}' % date for _ in range(10))
    found, _ = in_small_slices(body, key="rows", into=dict)
    assert found == at_once(body, "rows", dict)
    assert b"0000-00-00" not in msgspec.json.encode(found.items)


@pytest.mark.parametrize(
    "data",
    [
        {"rows": {"1": {"a": 1}, "7": {"a": 2}}, "note": "x" * 100},
        {"rows": [{"a": 1}], "more": [1], "note": "x" * 100},
        {"rows": "x" * 200},
        ["x" * 200],
        {"note": "x" * 200},
    ],
)
@pytest.mark.parametrize("key", ["rows", None])
def test_odd_pages_of_open_records_are_as_at_once(data, key):
    """A list as an object, several lists, none at all: records or the same refusal, in slices and at once."""

    def outcome(read):
        try:
            return read()
        except codec.Malformed as error:
            return str(error)

    body = answer(data)
    found = outcome(lambda: in_small_slices(body, key=key, into=dict)[0])
    assert found == outcome(lambda: codec.page(body, key=key, into=dict))


def test_a_record_that_does_not_fit_is_refused_in_slices_too():
    """The refusal names the place and quotes nothing."""
    body = answer({"rows": [{"a": 1}] * 40 + [{"a": "secret"}]})
    with pytest.raises(codec.Malformed, match=r"does not fit Row: Expected `int`, got `str` - at `\$\.a`"):
        in_small_slices(body, key="rows", into=Row)
