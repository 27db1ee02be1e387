"""How strongly the pages of a list show a stable order, in bits.

Reading a list in pages is exact only if its order is stable; some servers shuffle the records for each page. Shuffled
pages rarely look ordered: of the n! arrangements of n records, one is sorted. A report calls a list exact only if
chance alone would make all its pages fit in at most one of `2 ** ENOUGH` lists, or if one page held the whole list.
"""

from __future__ import annotations

import math

__all__ = ["ENOUGH", "agreeing_bits", "place_bits", "sorted_bits"]

#: Shuffled lists pass once in 16 million. A single page of 11 sorted records is as much evidence.
ENOUGH = 24.0


def sorted_bits(records: float) -> float:
    """Return the evidence of a run of records in the order of their ids."""
    return math.lgamma(records + 1) / math.log(2)


def place_bits(length: int) -> float:
    """Return the evidence of the same record in the same place of two pages.

    Args:
        length: the number of records that the list has at least.
    """
    return math.log2(max(length, 1))


def agreeing_bits(pairs: int, inverted: int) -> float:
    """Return the evidence of neighbours that were both seen before: the fewer are inverted, the more of it.

    Args:
        pairs: their number.
        inverted: the number of these that have another order than before.
    """
    if not pairs or 2 * inverted >= pairs:
        return 0.0
    part = inverted / pairs
    entropy = -sum(one * math.log2(one) for one in (part, 1 - part) if one)
    return pairs * (1 - entropy)
