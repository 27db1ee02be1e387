"""`TimelessRecords`: the records without a readable `last_change`, by their text, from one run to the next.

Such a record may have changed, so each run hands it out. A run that keeps a state remembers the text of those that it
handed out, and hands out only those that are new or different.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["TimelessRecords"]

#: No more are remembered: a state is read as a whole. Lists with more are handed out whole every time.
_MOST = 20_000


class TimelessRecords:
    """Digests of the texts of records.

    Args:
        known: those of the last run.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = frozenset(known)
        self._found: set[str] = set()

    def take(self, line: bytes) -> bool:
        """Remember a record; return whether the last run did not have it with this text."""
        digest = hashlib.blake2b(line, digest_size=8).hexdigest()
        self._found.add(digest)
        return digest not in self._known

    @property
    def found(self) -> list[str]:
        """Those of this run, for the next one; none if they are too many."""
        return sorted(self._found) if len(self._found) <= _MOST else []
