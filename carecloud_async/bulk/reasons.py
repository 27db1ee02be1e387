"""The most common reasons why rows were not written, for people who look at the end of a run first."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import field, frozen

from carecloud_async._base.runs import Database
from carecloud_async.bulk.outcome import Outcome

__all__ = ["Reasons", "common_reasons"]

#: Reasons that a report has, and lines of each.
_MOST: Final = 10
#: Reasons that differ in the line alone, or in the ids of records, are one.
_LINES: Final = re.compile(r"\blines? [\d,]+( to [\d,]+)?")
_IDS: Final = re.compile(r": records [^:]*$")
_NOT_WRITTEN: Final = (Outcome.REFUSED.value, Outcome.CONFLICT.value, Outcome.UNKNOWN.value)
_WHERE: Final = "FROM writes WHERE part = 0 AND outcome IN (?, ?, ?) AND reasons IS NOT NULL"


@frozen(kw_only=True)
class Reasons:
    """The most common reasons.

    Attributes:
        counts: reason → number of rows, the most common first.
        lines: reason → the first lines of the source that have it.
    """

    counts: Mapping[str, int] = field(factory=dict)
    lines: Mapping[str, Sequence[int]] = field(factory=dict)


def common_reasons(journal: Database) -> Reasons:
    """Return the most common reasons of rows that were not written. Blocks."""
    counts: Counter[str] = Counter()
    groups = f"SELECT reasons, count(*) {_WHERE} GROUP BY 1 ORDER BY 2 DESC LIMIT 50000"
    for reasons, rows in journal.execute(groups, _NOT_WRITTEN):
        for reason in _plain(reasons):
            counts[reason] += rows
    common = dict(counts.most_common(_MOST))
    lines: dict[str, list[int]] = {reason: [] for reason in common}
    first = f"SELECT reasons, line {_WHERE} ORDER BY id LIMIT 50000"
    for reasons, line in journal.execute(first, _NOT_WRITTEN) if common else ():
        for reason in _plain(reasons):
            if reason in lines and len(lines[reason]) < _MOST:
                lines[reason].append(line)
    return Reasons(counts=common, lines=lines)


def _plain(reasons: str) -> Mapping[str, None]:
    """Return the reasons of a row without the numbers of lines and the ids in them, each once."""
    return dict.fromkeys(_IDS.sub("", _LINES.sub("a line", one)) for one in json.loads(reasons))
