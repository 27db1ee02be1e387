"""One comparison of a list with a source: read both, hold one against the other, write the results."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from carecloud_async._base.codec.fields import api_names, core_type, field_types, is_model
from carecloud_async._base.runtime.threads import close_in_thread, run_in_thread
from carecloud_async._lists.export.errors import disk_errors
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.listings.compare_report import CompareOptions, CompareReport, Verdict
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.check import RowChecker
from carecloud_async.bulk.columns import Columns, Place
from carecloud_async.bulk.compare import changed_fields, drop_if_equal, has_value, known_elements, value_at
from carecloud_async.bulk.decide import drop_same_phones
from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.family import Family, Key, field_paths
from carecloud_async.bulk.options import BulkWriteOptions, Target
from carecloud_async.bulk.outcome import OUTCOME_COLUMNS
from carecloud_async.bulk.pages import lines_of
from carecloud_async.bulk.results import require_place, write_rows
from carecloud_async.bulk.run import find_key
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.item_lines import with_items
from carecloud_async.bulk.sources.source import RowSource, row_json
from carecloud_async.comparisons.ledger import Ledger, Listed
from carecloud_async.comparisons.temporary import read_list

#: Whether a field of a record has the value of a row in another spelling: its dotted name, and both values.
Alike = Callable[[str, Any, Any], bool]

#: Records that are compared before other tasks run.
_TOGETHER: Final = 500
_OF_CARDS: Final = "numbers of cards are compared by client.cards.list().compare(), or carecloud compare cards"
#: The roles of columns whose values stand next to the record, see `Place.role`: a list does not show them.
_NOT_SHOWN: Final = frozenset({"create", "part", "key"})


async def compare(
    listing: Listing[Any], family: Family, source: Any, options: CompareOptions, *, alike: Alike
) -> CompareReport:
    """Compare a list with a source; see `Listing.compare`.

    Args:
        family: the family of the list's records.
        alike: says of values that differ whether a bulk write of the family takes them as equal.

    Raises:
        BadSourceError: the source cannot be read, or records cannot be compared by the key.
        ExportError: the list cannot be read, or the results cannot be written.
        CareCloudError: the server cannot be reached, or refuses the client.
    """
    key = _key(family, options.match)
    results = None if options.results is None else Path(options.results)
    if results is not None:
        await run_in_thread(partial(require_place, source, results))
    began = family.clock.monotonic()
    folder = tempfile.TemporaryDirectory(prefix="carecloud-compare-", ignore_cleanup_errors=True)
    comparison = _Comparison(family=family, key=key, options=options, alike=alike, folder=Path(folder.name))
    try:
        rows = await run_in_thread(partial(comparison.open, source))
        read, names = await comparison.load(rows)
        report = await read_list(listing, comparison.list_file)
        await comparison.take_records()
        counts = await run_in_thread(comparison.ledger.counts)
        if results is not None:
            columns = [*dict.fromkeys((*names, *comparison.key_columns)), *OUTCOME_COLUMNS]
            outcomes = comparison.ledger.results(comparison.key_columns[-1])
            write = partial(write_rows, results, outcomes, columns, dialect=rows.dialect)
            with disk_errors(results):
                await run_in_thread(write)
        seconds = family.clock.monotonic() - began
        return _report(counts, read, report, seconds=seconds, results=results, not_compared=comparison.not_compared)
    finally:
        await close_in_thread(comparison.close, folder.cleanup)


def _key(family: Family, match: str) -> Key:
    key = find_key(family, match)
    if key is None or not (key.in_record or key.by_id):
        known = ", ".join(other.name for other in family.facts.keys.values() if other.in_record or other.by_id)
        cards = f"; {_OF_CARDS}" if key is not None and key.paths == ("card_number",) else ""
        raise BadSourceError(
            f"match={match!r}: records do not show this key; records can be compared by {known}{cards}"
        )
    return key


def _report(
    counts: Mapping[Verdict, int],
    rows: int,
    read: ExportReport,
    *,
    seconds: float,
    results: Path | None,
    not_compared: Mapping[str, str],
) -> CompareReport:
    return CompareReport(
        rows=rows,
        records=read.records,
        **{verdict.value: number for verdict, number in counts.items()},
        reasons=read.reasons,
        requests=read.requests,
        seconds=seconds,
        results=None if results is None else str(results),
        not_compared=not_compared,
    )


class _Comparison:
    """The parts of one comparison.

    Args:
        family: the family of the records.
        key: the key that names a record.
        alike: says of values that differ whether they are equal all the same.
        folder: a private folder for rows and records.

    Attributes:
        key_columns: the columns in which the results show the key: those of the source, if it has some.
        not_compared: column → field, of the columns that lead to a field which the list does not show.
    """

    def __init__(self, *, family: Family, key: Key, options: CompareOptions, alike: Alike, folder: Path) -> None:
        self._family = family
        self._alike = alike
        self._key = key
        self._options = options
        self._source: RowSource | None = None
        self.ledger: Ledger = Ledger(folder / "rows.db", only_file=options.only_file)
        self.list_file: Path = folder / "list.jsonl"
        self.key_columns: Sequence[str] = key.paths
        self.not_compared: Mapping[str, str] = {}

    def open(self, source: Any) -> RowSource:
        """Open the source. Blocks."""
        self._source = open_source(source, encoding=self._options.encoding)
        return self._source

    def close(self) -> None:
        """Close what was opened. Blocks."""
        if self._source is not None:
            self._source.close()
        self.ledger.close()

    async def load(self, rows: RowSource) -> tuple[int, Sequence[str]]:
        """Read and check all rows; return how many there are, and the names of their columns."""
        options, facts = self._options, self._family.facts
        checking = BulkWriteOptions(
            match=options.match,
            decimal=options.decimal,
            date_format=options.date_format,
            phone_prefix=options.phone_prefix,
            columns=options.columns,
            ignore_columns=options.ignore_columns,
        )
        columns = _ShownColumns(self._family, renamed=checking.columns, ignored=checking.ignore_columns)
        rows = with_items(rows, facts.writes.items, columns)
        await columns.check(rows, key=self._key, options=checking)
        checker = RowChecker(
            self._family, columns, key=self._key, options=checking, textual=rows.textual, blanks=rows.blanks
        )
        names: dict[str, None] = dict.fromkeys(rows.columns or ())
        number = 0
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                loaded = []
                for row in batch:
                    number += 1
                    names.update(dict.fromkeys(row.values))
                    checked = await checker.check_row(row)
                    source = b"{}" if options.results is None else row_json(row)
                    loaded.append((row.line or number, source, checked, self._store_of(checked.checked.changes)))
                await run_in_thread(partial(self.ledger.load, loaded))
        await run_in_thread(self.ledger.begin)
        self.not_compared = {name: path for name, path in columns.not_shown().items() if path not in self._key.paths}
        own = {path: name for name, path in columns.paths().items() if name in names}
        self.key_columns = [own.get(path, path) for path in self._key.paths]
        return number, [name for name in names if name not in OUTCOME_COLUMNS]

    async def take_records(self) -> None:
        """Compare the records of the list that was read with the rows."""
        lines = lines_of(self.list_file)
        while some := await run_in_thread(lambda: [*islice(lines, _TOGETHER)]):
            await run_in_thread(partial(self._take, some))

    def _take(self, lines: Sequence[bytes]) -> None:
        self.ledger.take([self._listed(msgspec.json.decode(line)) for line in lines], self._differing)

    def _listed(self, value: Any) -> Listed:
        base = value if isinstance(value, dict) else {}  # PHP writes an empty record as a list
        record_id = self._family.facts.id_of(base)
        values = (record_id or "",) if self._key.by_id else self._key.values_of(base)
        key = self._key.text(values) if all(map(self._key.normal, values)) else None
        return record_id, key, self._store_of(base), base

    def _store_of(self, record: Mapping[str, Any]) -> str:
        return "" if self._key.by_id else self._family.store_of(record)

    def _differing(self, base: Any, named: Mapping[str, Any], unknown_named: Mapping[str, Any]) -> Sequence[str]:
        """Return the dotted fields in which a record differs from a row; see `Compare`."""
        model = self._family.facts.reads
        if not unknown_named and not changed_fields(base, named, model):
            return ()  # most records: the key is spelled as in the row, and lists have no unknown fields
        changes = dict(named)
        for number, path in enumerate(self._key.paths):
            drop_if_equal(changes, base, path, partial(self._key.form, number))
        drop_same_phones(changes, base, self._family.facts)
        unknown = [path for path, value in unknown_named.items() if not has_value(base, path, value)]
        changed = changed_fields(known_elements(base, model), changes, model)
        differ = [path for path in changed if not self._alike(path, value_at(base, path), value_at(changes, path))]
        return [*differ, *unknown]


class _ShownColumns(Columns):
    """The fields that the rows of a comparison may name: all that a record shows, read-only ones too; see `Columns`."""

    def __init__(self, family: Family, *, renamed: Mapping[str, Target], ignored: Iterable[str]) -> None:
        super().__init__(family, renamed=renamed, ignored=ignored)
        shown = field_paths(family.facts.reads)
        self._not_shown = frozenset(path for path in self._fields if path not in shown)  # such as how a bill was paid
        for path in self._not_shown:
            self._fields[path] = attrs.evolve(self._fields[path], role="ignored")
        self._add_shown(family.facts.reads, "")
        self._short_names = self._find_short_names()

    def paths(self) -> dict[str, str]:
        """Return the columns of the rows so far, with their fields."""
        return {column: place.path for column, place in self._places.items()}

    def not_shown(self) -> dict[str, str]:
        """Return the columns of the rows so far that lead to a field which records do not show, with that field."""
        return {
            column: place.path
            for column, place in self._places.items()
            if place.role in _NOT_SHOWN or place.path in self._not_shown
        }

    def _add_shown(self, model: Any, prefix: str) -> None:
        if model is None:
            return
        names = api_names(model)
        for name, hint in field_types(model).items():
            path, core = prefix + names[name], core_type(hint)
            if is_model(core):
                self._objects.add(path)
                self._add_shown(core, f"{path}.")
            else:
                self._fields.setdefault(path, Place(path=path, hint=hint))
