"""How much the pages of a list say for an order that lasts, in bits.

A list that is read in pages is exact only if its records stand in an order that lasts; some servers shuffle them for
each page. Shuffled pages that look ordered are rare: of n records in a row, one arrangement in n! is sorted. A report
vouches for a list only where chance would have made all its pages fit once in `2 ** ENOUGH` lists, or where one page
held the whole list.
"""

from __future__ import annotations

import math

__all__ = ["ENOUGH", "agreeing_bits", "place_bits", "sorted_bits"]

#: Chance would pass once in 16 million lists. A single page of 11 sorted records says as much.
ENOUGH = 24.0


def sorted_bits(records: float) -> float:
    """Return what a run of records in the order of their ids says."""
    return math.lgamma(records + 1) / math.log(2)


def place_bits(length: int) -> float:
    """Return what the same record in the same place of two pages says.

    Args:
        length: the number of records that the list has at least.
    """
    return math.log2(max(length, 1))


def agreeing_bits(pairs: int, inverted: int) -> float:
    """Return what neighbours that were seen before say.

    Args:
        pairs: their number.
        inverted: the number of these that stood the other way round before.
    """
    if not pairs or 2 * inverted >= pairs:
        return 0.0
    part = inverted / pairs
    entropy = -sum(one * math.log2(one) for one in (part, 1 - part) if one)
    return pairs * (1 - entropy)
