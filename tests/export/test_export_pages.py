"""Reading a page at once gives an export the same as reading it record by record."""

import random
from bisect import bisect_left

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from carecloud_async._base.codec.lists import key_decoder
from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.evidence import IdOrder, _casefold
from carecloud_async._lists.export.reading.pages import RawPage, _identity, _leading_ids

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
    lines = [msgspec.json.encode(one) for one in records]
    decoder = key_decoder("customer_id")
    found = _leading_ids(lines, "customer_id")
    if found is not None:
        assert found == [_identity(decoder, line, "customer_id") for line in lines]
    plain = all(isinstance(one, dict) and next(iter(one)) == "customer_id" for one in records)
    if plain and all(isinstance(one["customer_id"], str) and one["customer_id"].isalnum() for one in records):
        assert found is not None


@given(st.lists(st.text(st.sampled_from("abAB09ßİΣ"), max_size=5), max_size=6))
def test_folded_ids_are_folded_each(names):
    """Ids compared together without their case are those folded one by one."""
    assert _casefold(names) == [one.casefold() for one in names]


def _page(ids, offset=0):
    return RawPage(offset=offset, lines=[b"{}"] * len(ids), ids=ids, received=len(ids), last=len(ids) - 1, total=None)


def test_a_page_that_continues_the_list_moves_the_boundary_to_its_end():
    """Of a page that begins with the last known record, the records after it are new."""
    boundary = Boundary(IdOrder(), recent=["a", "b"])
    assert boundary.advance(_page(["b", "c", "d"], 1)) == [1, 2]
    assert boundary.furthest == "d"
    assert boundary.recent_ids == ["a", "b", "c", "d"]


def test_records_that_come_in_between_do_not_move_the_boundary():
    """An earlier page that ends with new records adds them; later records stay known."""
    known = [f"{number:02}" for number in range(10, 60)]
    between = _page(["11", "12", "12+", "12++"], 1)
    boundary = Boundary(IdOrder())
    boundary.advance(_page(known))
    boundary.check(between)
    assert boundary.advance(between) == [2, 3]
    assert (boundary.furthest, boundary.has_advanced) == ("59", False)
    assert boundary.recent_ids == ["10", "11", "12", "12+", "12++", *known[3:]]


def test_what_follows_a_page_that_the_order_connected_is_not_new_again():
    """After a page without a known record within what is known, only records beyond what was accepted are new."""
    boundary = Boundary(IdOrder(), recent=["a", "c", "d"], has_forgotten=True)
    boundary.check(_page(["a", "c", "d"]))
    assert boundary.advance(_page(["b"], 1)) == []
    assert boundary.append(_page(["c"], 2)) == []
    assert boundary.append(_page(["d", "e"], 3)) == [1]


@given(st.integers(0, 10_000))
@example(128)
def test_no_record_is_new_twice_whatever_old_pages_a_server_sends(seed):
    """Pages of several versions of a list, every fifth from anywhere: an accepted record is never new again."""
    dice = random.Random(seed)
    names = [f"{number:03}" for number in range(200)]
    versions = [[one for one in names if dice.random() > 0.1] for _ in range(4)]
    boundary, accepted = Boundary(IdOrder()), []
    boundary._recent.limit = 6
    for _ in range(100):
        version = dice.choice(versions)
        offset = bisect_left(version, boundary.furthest or "") if dice.random() < 0.8 else dice.randrange(150)
        page = _page(version[offset : offset + 3], offset)
        boundary.check(page)
        if page.ids and boundary.connects(page):
            accepted += [page.ids[index] for index in boundary.advance(page)]
    assert len(accepted) == len(set(accepted))
