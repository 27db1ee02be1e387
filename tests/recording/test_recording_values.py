"""Made-up values of any records: the shape stays, and no recorded part does."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from carecloud_async.models import Customer
from carecloud_async.recording.disguise import Disguise
from carecloud_async.recording.values import MadeUp, Seen

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
PEOPLE = st.fixed_dictionaries(
    {"customer_id": st.text(max_size=30) | st.integers()},
    optional={"personal_information": VALUES, "last_change": st.text(max_size=20), "state": VALUES, "extra": VALUES},
)


def made_of(records, secret=b"k" * 32):
    """The records with made-up values, in the two passes of a recording."""
    seen = Seen()
    for record in records:
        Disguise(texts=seen).record("customers", record, Customer)
    disguise = Disguise(texts=MadeUp(secret=secret, seen=seen.parts))
    return [disguise.record("customers", record, Customer) for record in records]


@given(st.lists(PEOPLE, max_size=4))
def test_any_record_can_be_made_up(records):
    """Whatever a server sends, the result is JSON, and each value is of the kind that it was."""
    for before, after in zip(records, made_of(records), strict=True):
        json.dumps(after, allow_nan=False)
        assert type(before["customer_id"]) is type(after["customer_id"])
        assert before.keys() == after.keys()


@given(st.lists(st.from_regex(r"[A-Z][a-z]{3,9}", fullmatch=True), min_size=1, max_size=20, unique_by=str.casefold))
def test_no_part_of_a_name_is_left_and_two_names_stay_two(names):
    """No name is part of a made-up one, and different names are different afterwards."""
    records = [{"customer_id": "1", "personal_information": {"last_name": name}} for name in names]
    made = [record["personal_information"]["last_name"] for record in made_of(records)]
    assert len({*made}) == len(names)
    assert not [name for name in names for new in made if name.casefold() in new.casefold()]
    assert all(re.fullmatch(r"[A-Z][a-z]{3,9}", new) for new in made)


@given(st.lists(st.integers(min_value=1, max_value=99), min_size=1, max_size=60, unique=True))
def test_short_ids_stay_distinct(ids):
    """Ids of one or two digits lead to one record each, as numbers and as texts."""
    made = [record["customer_id"] for record in made_of([{"customer_id": number} for number in ids])]
    texts = [record["customer_id"] for record in made_of([{"customer_id": str(number)} for number in ids])]
    assert len({*made}) == len(ids)
    assert [*map(str, made)] == texts
