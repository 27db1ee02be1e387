"""Reading a page at once gives an export the same as reading it record by record."""

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from carecloud_async._base.codec.pages import key_decoder
from carecloud_async._lists.export.reading.order import _casefold
from carecloud_async._lists.export.reading.pages import _identity, _leading_ids

IDS = st.one_of(
    st.text(st.sampled_from('abcAB09é\\"{}:,ß/\n '), max_size=6), st.integers(-5, 5), st.none(), st.booleans()
)
RECORDS = st.one_of(
    st.fixed_dictionaries({"customer_id": IDS}, optional={"name": st.text(max_size=4)}),
    st.fixed_dictionaries({"name": st.text(max_size=4), "customer_id": IDS}),
    st.fixed_dictionaries({"customer_id_": IDS}),
    st.lists(st.text(max_size=3), max_size=2),
)


@given(st.lists(RECORDS, max_size=5))
@example([{"customer_id": "a"}, {"customer_id": "b", "name": "x"}])
@example([{"customer_id": 'a","customer_id":"b'}])
@example([{"x": "customer_id", "customer_id": "b"}])
def test_leading_ids_are_those_that_a_decoder_reads(records):
    """Ids read at once equal those read one by one; records of another kind are left to the decoder."""
    lines = [msgspec.json.encode(record) for record in records]
    decoder = key_decoder("customer_id")
    got = _leading_ids(lines, "customer_id")
    if got is not None:
        assert got == [_identity(decoder, line, "customer_id") for line in lines]
    plain = all(isinstance(record, dict) and next(iter(record)) == "customer_id" for record in records)
    if plain and all(isinstance(record["customer_id"], str) and record["customer_id"].isalnum() for record in records):
        assert got is not None


@given(st.lists(st.text(st.sampled_from("abAB09ßİΣ"), max_size=5), max_size=6))
def test_folded_ids_are_folded_each(names):
    """Ids compared together without their case are those folded one by one."""
    assert _casefold(names) == [name.casefold() for name in names]
