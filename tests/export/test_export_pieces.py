"""Records in pieces: nothing is lost, and no piece is large for what it holds."""

from hypothesis import given
from hypothesis import strategies as st

from carecloud_async._lists.export.formats.sinks import pieces


@given(st.lists(st.integers(0, 300_000), max_size=40))
def test_pieces_are_all_records_in_their_order(sizes):
    """Put together, the pieces are the records; none is empty."""
    lines = [b"x" * size for size in sizes]
    found = [list(piece) for piece in pieces(lines)]
    assert [line for piece in found for line in piece] == lines
    assert all(found)


@given(st.integers(1, 5000), st.integers(1, 300_000))
def test_a_piece_is_small_or_one_record(size, count):
    """Records of one size stand in pieces of a hundred kilobytes at most, or alone where they are larger."""
    found = list(pieces([b"x" * size * 40] * (count // 1000 + 1)))
    assert max(sum(map(len, piece)) for piece in found) <= max(100_000, size * 40)
