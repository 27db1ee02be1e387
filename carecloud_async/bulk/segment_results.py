"""`RowLog`: the rows of a source with their keys, and the results of a sync of a segment that are made of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from carecloud_async._lists.export.errors import disk_errors
from carecloud_async.bulk.outcome import OUTCOME_COLUMNS, UNREADABLE
from carecloud_async.bulk.results import lines_in, write_rows
from carecloud_async.bulk.sources.source import Dialect, SourceRow, row_json

__all__ = ["RowLog", "RowOutcome"]


@frozen(kw_only=True)
class RowOutcome:
    """What became of the customer of a row.

    Attributes:
        outcome: `added`, `removed`, `unchanged`, `unknown` or `refused`.
        customer_id: the customer's id; `None` if it is not known.
        reasons: why it is unknown or refused.
    """

    outcome: str
    customer_id: str | None = None
    reasons: Sequence[str] = ()


class RowLog:
    """The rows of a source, in a temporary file. Every method blocks.

    Args:
        results: the file that the results are written to.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._names: dict[str, None] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def add(self, rows: Iterable[tuple[int, SourceRow, str | None]]) -> None:
        """Keep rows: for each its number, itself, and its key in the form in which keys are compared.

        Raises:
            ExportError: the disk is full.
        """
        lines = []
        for number, row, key in rows:
            self._names.update(dict.fromkeys((*row.values, *([UNREADABLE] if row.text else []))))
            lines.append(json.dumps([row.line or number, key, row.fault]).encode() + b"\n" + row_json(row) + b"\n")
        with disk_errors(self._results):
            self._file.write(b"".join(lines))

    def write(
        self, outcome_of: Callable[[str | None, str | None], RowOutcome], others: Iterable[RowOutcome], dialect: Dialect
    ) -> None:
        """Write the results.

        Args:
            outcome_of: returns the outcome of a row, given its key and its fault.
            others: the outcomes of customers whom no row names.
            dialect: the dialect of a CSV file.

        Raises:
            ExportError: the disk refuses.
        """
        names = [*(name for name in self._names if name not in OUTCOME_COLUMNS), *OUTCOME_COLUMNS]
        with disk_errors(self._results):
            write_rows(self._results, self._rows(outcome_of, others), names, dialect=dialect)

    def _rows(
        self, outcome_of: Callable[[str | None, str | None], RowOutcome], others: Iterable[RowOutcome]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        self._file.seek(0)
        while head := self._file.readline():
            line, key, fault = json.loads(head)
            added = _added(line, outcome_of(key, fault))
            for values, of_line in lines_in(self._file.readline()):
                own = {name: value for name, value in values.items() if name not in OUTCOME_COLUMNS}
                yield own, {**added, **of_line}
        for one in others:
            yield {}, _added("", one)


def _added(line: Any, one: RowOutcome) -> dict[str, Any]:
    return dict(zip(OUTCOME_COLUMNS, (line, one.outcome, one.customer_id, [], [*one.reasons]), strict=True))
