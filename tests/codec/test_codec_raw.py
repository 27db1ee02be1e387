"""Raw pages: the server's own bytes, one record a line."""

import json

import pytest
from codec_records import answer, anything, customers, page_of
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async._base import codec

COMPACT = {"separators": (",", ":")}


@given(
    st.lists(customers(exact=False) | anything, max_size=4),
    st.sampled_from(
        [COMPACT, {}, {"indent": 2}, {"indent": "\t"}, {"separators": (", ", ":")}, {"separators": (",", " : ")}]
    ),
    st.booleans(),
    st.sampled_from([b"", b"\n", b"\r\n "]),
)
def test_records_are_those_of_the_page(records, style, ascii_only, end):
    """The lines parse back to the records of the page, and no line holds a line break."""
    body = page_of(records, ensure_ascii=ascii_only, **style) + end
    page = codec.page(body, key="customers", into=bytes)
    assert [json.loads(record) for record in page.items] == json.loads(body)["data"]["customers"]
    assert not any(b"\n" in record or b"\r" in record for record in page.items)
    assert page.received == page.total_items == len(records)


@pytest.mark.parametrize("style", [COMPACT, {}, {"indent": 4}, {"separators": (" , ", " : ")}])
def test_records_are_compact(style):
    """Whatever blanks the server puts between the tokens, a record has none."""
    record = {"customer_id": "x, y: z", "list": [1, {"a": {}}], "none": None}
    assert codec.page(page_of([record], **style), key="customers", into=bytes).items == [
        json.dumps(record, **COMPACT).encode()
    ]


@pytest.mark.parametrize("blank", [b"", b" ", b"\n  "])
def test_nothing_is_respelled(blank):
    """Unknown fields, their order, repeated names, escapes and the spelling of numbers are kept."""
    record = b'{"z":1.50,"a":1E5,"new":{"x":[-0,0.0,12345678901234567890.10]},"a":"\\u00e9\\/","z":2}'
    body = b'{"data":{' + blank + b'"customers":[' + blank + record + blank + b'],"total_items":1}}'
    assert codec.page(body, key="customers", into=bytes).items == [record]


@pytest.mark.parametrize("blank", [b"", b" ", b"\n  "])
def test_a_damaged_text_leaves_the_rest_as_it_is(blank):
    """A lone surrogate or a bad byte becomes U+FFFD; numbers beside it keep their spelling, on pretty pages too."""
    body = b'{"data":{"customers":[{"a":%b1.50,"b":"\\ud83d"},{"a":1E5,%b"b":"\xff"}]}}' % (blank, blank)
    assert codec.page(body, key="customers", into=bytes).items == [
        b'{"a":1.50,"b":"\\ufffd"}',
        '{"a":1E5,"b":"\ufffd"}'.encode(),
    ]


def test_pretty_and_damaged():
    """A pretty page with NaN is written again, still one record a line."""
    page = codec.page(b'{"data": {\n "customers": [\n {"a": NaN, "b": 1}\n ]}}', key="customers", into=bytes)
    assert page.items == [b'{"a":null,"b":1}']


@pytest.mark.parametrize("blank", [b"", b" "])
def test_a_page_that_is_written_again_keeps_its_numbers(blank):
    """Beside NaN and broken text, and in a list that PHP wrote as an object, numbers keep all their digits."""
    records = [b'{"a":NaN,"b":1.50}', b'{"a":"\t","b":0.12345678901234567890}']
    body = b'{"data":{"items":%b{"0":%b,"2":%b},"total_items":2.0}}' % (blank, *records)
    page = codec.page(body, key="items", into=bytes)
    assert page.items == [b'{"a":null,"b":1.50}', b'{"a":"\\t","b":0.12345678901234567890}']
    assert page.total_items == 2


def test_records_outlive_the_page():
    """The records are bytes of their own, not views that keep the page in memory."""
    page = codec.page(answer({"customers": [{"a": 1}], "total_items": "1"}), key="customers", into=bytes)
    assert [type(record) for record in page.items] == [bytes]
    assert page.total_items == 1


@pytest.mark.parametrize("shift", range(8))
@pytest.mark.parametrize("letter", ["č", "€", "😀"])
def test_characters_across_the_pieces_that_are_checked_are_kept(letter, shift):
    """A long page is checked in pieces; a character that two of them share is not taken for damage."""
    text = "x" * shift + letter * 40_000
    body = json.dumps({"data": {"items": [{"a": text}]}}, ensure_ascii=False, separators=(",", ":")).encode()
    assert json.loads(codec.page(body, key="items", into=bytes).items[0]) == {"a": text}


@pytest.mark.parametrize("at", [0, 32_767, 32_768, 50_000, 70_000])
def test_damage_in_any_piece_is_mended(at):
    """One bad byte anywhere in a long page becomes U+FFFD, at the end of the text too."""
    text = bytearray("é".encode() * 35_001)
    text[at : at + 1] = b"\xff"
    found = codec.page(b'{"data":{"items":[{"a":"%b"}]}}' % bytes(text), key="items", into=bytes).items[0]
    assert json.loads(found)["a"] == bytes(text).decode(errors="replace")


def test_a_large_page_is_cut_in_slices():
    """A page of megabytes is cut with pauses in between, with the records of one that is cut at once."""
    records = [{"customer_id": f"{number:08}", "name": "Žaneta " * 20} for number in range(30_000)]
    body = page_of(records, ensure_ascii=False, **COMPACT)
    slices, pauses = codec.page_slices(body, key="customers", into=bytes), 0
    while True:
        try:
            next(slices)
        except StopIteration as end:
            page = end.value
            break
        pauses += 1
    assert pauses >= 2 * (len(body) >> 21) > 0
    assert page == codec.page(body, key="customers", into=bytes)
    assert [json.loads(line) for line in page.items] == records
