"""msgspec and cattrs give one result, whatever the record."""

import contextlib
import copy
import json

import msgspec
from codec_records import READ_MODELS, answer, anything, customers, page_of, untidy
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import examples

from carecloud_async._base import codec
from carecloud_async._base.codec import misfits, tolerant
from carecloud_async.models import Address, Agreement, Customer, PersonalInformation, PropertyRecord, User

FAST = {model: msgspec.json.Decoder(model) for model in (Customer, PropertyRecord, User)}
PARTS = {"address": Address, "agreement": Agreement}


def same(left, right):
    return left == right and codec.encode(left) == codec.encode(right)


@given(customers(exact=True))
def test_exact_and_future_records_agree(record):
    """A record that matches exactly is read the same by both paths, unknown fields and values included."""
    assert same(FAST[Customer].decode(json.dumps(record)), codec.structure(record, Customer))


@given(customers(exact=False))
def test_records_with_misfits_agree_where_both_succeed(record):
    """A record with misfits always arrives, and as msgspec reads it wherever that succeeds too."""
    tolerant = codec.structure(record, Customer)
    assert isinstance(tolerant, Customer)
    assert same(codec.record(answer(record), Customer), tolerant)
    try:
        fast = FAST[Customer].decode(json.dumps(record))
    except (ValueError, RecursionError):
        return
    assert same(fast, tolerant)


@given(customers(exact=False))
def test_the_parts_of_records_with_misfits_agree(record):
    """Each object within a record with misfits is read the same by both paths, down to the innermost."""
    person = record.get("personal_information")
    if not isinstance(person, dict):
        return
    for model, part in ((PersonalInformation, person), *((PARTS[name], person.get(name)) for name in PARTS)):
        if not isinstance(part, dict):
            continue
        tolerant = codec.structure(part, model)
        with contextlib.suppress(ValueError, RecursionError):
            assert same(msgspec.json.decode(json.dumps(part), type=model), tolerant)


@given(
    st.sampled_from([PropertyRecord, User]),
    st.dictionaries(
        st.sampled_from(["property_value", "user_role_ids", "phone", "last_change", "last_login"]), anything
    ),
)
def test_open_values_and_lists_agree(model, record):
    """Values of any kind and lists of texts are read the same by both paths."""
    tolerant = codec.structure(record, model)
    try:
        fast = FAST[model].decode(json.dumps(record))
    except (ValueError, RecursionError):
        return
    assert same(fast, tolerant)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(customers(exact=True) | customers(exact=False), max_size=4), st.sampled_from([None, 2]))
def test_a_page_is_its_records(records, indent):
    """A page reads each record as it would be read alone, exact or not, pretty or not."""
    page = codec.page(page_of(records, indent=indent), key="customers", into=Customer)
    assert page.received == len(records)
    assert same(page.items, [codec.record(answer(record), Customer) for record in records])


@given(customers(exact=True) | customers(exact=False))
def test_plain_values_agree(record):
    """What JSON gave becomes the same model whether it is tried at once or read field by field."""
    assert same(codec.convert(record, Customer), codec.structure(record, Customer))


@given(st.sampled_from([str, int, float, bool]), anything)
def test_plain_scalars_agree(into, value):
    """A single value that is of the wanted type already is what the tolerant rules make of it."""
    assert same(codec.convert(value, into), codec.structure(value, into))


@settings(deadline=None)
@given(st.sampled_from(READ_MODELS).flatmap(lambda model: st.tuples(st.just(model), untidy(model))))
def test_mended_records_agree(case):
    """Msgspec and cattrs build the same model of a mended record of any family, which itself stays as it was."""
    model, record = case
    given_values = copy.deepcopy(record)
    mended = misfits.mend(record, model)
    by_cattrs = tolerant.build(mended, model)
    with contextlib.suppress(ValueError):
        assert same(msgspec.convert(mended, model), by_cattrs)
    assert same(codec.structure(record, model), by_cattrs)
    assert record == given_values
