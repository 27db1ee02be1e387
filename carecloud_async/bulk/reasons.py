"""The most common reasons why rows were not written, for people who look at the end of a run first."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Final

from carecloud_async._base.runs import Database
from carecloud_async.bulk.outcome import Outcome
from carecloud_async.bulk.tables import WRITES

__all__ = ["common_reasons"]

#: Reasons that a report has.
_MOST: Final = 10
#: Reasons that differ in the line alone are one.
_LINES: Final = re.compile(r"\blines? [\d,]+( to [\d,]+)?")
_NOT_WRITTEN: Final = (Outcome.REFUSED.value, Outcome.CONFLICT.value, Outcome.UNKNOWN.value)


def common_reasons(journal: Database) -> dict[str, int]:
    """Return the most common reasons of rows that were not written, each with the number of rows. Blocks."""
    found = journal.execute(
        f"SELECT reasons, count(*) FROM writes WHERE id % {WRITES} = 0 AND outcome IN (?, ?, ?) "  # noqa: S608  (no value)
        "AND reasons IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 50000",
        _NOT_WRITTEN,
    )
    counts: Counter[str] = Counter()
    for reasons, rows in found:
        for reason in {_LINES.sub("a line", one) for one in json.loads(reasons)}:
            counts[reason] += rows
    return dict(counts.most_common(_MOST))
