"""The files of a run: where its journal is, the results (all rows with outcomes) and the rejects (the refused rows)."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO, TypeAlias, cast

from attrs import frozen

from carecloud_async._base.runs import UNWRITABLE, partial_path, publish, reason_of
from carecloud_async._base.runtime.durable_files import create_private, is_same_file
from carecloud_async._lists.export.formats.compression import compressing
from carecloud_async._lists.export.storage.urls import is_url
from carecloud_async.bulk.errors import BadSourceError, BulkWriteError
from carecloud_async.bulk.journal import RowJournal
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import LINE, OUTCOME_COLUMNS, Outcome
from carecloud_async.bulk.sources import path_of
from carecloud_async.bulk.sources.files import source_suffix, split_suffix
from carecloud_async.bulk.sources.source import Dialect
from carecloud_async.fixes import OTHER_PLACE, RESUME

#: The columns that follow those of the source in the rejects. `Columns` ignores all of them in a source.
_REJECT_COLUMNS: Final = (LINE, "reasons")
#: Rows with what is added to them.
Rows: TypeAlias = Iterator[tuple[Mapping[str, Any], dict[str, Any]]]


@frozen(kw_only=True)
class ResultFile:
    """A file that is written from the journal at the end.

    Attributes:
        path: its final name.
        only_refused: whether it has only the refused rows, with their reasons.
    """

    path: Path
    only_refused: bool


@frozen(kw_only=True)
class RunFiles:
    """The files of a run.

    Attributes:
        folder: the temporary folder of a journal that cannot be resumed, to be removed in any case; `None` otherwise.
        files: the results and the rejects.
    """

    journal: Path
    folder: tempfile.TemporaryDirectory[str] | None
    files: tuple[ResultFile, ...]


def find_files(source: Any, options: BulkWriteOptions, *, family: str) -> RunFiles:
    """Return the files of a run. Blocks.

    Raises:
        BadSourceError: two files are the same, one cannot be written, or there is no place for a journal that could be
            resumed.
    """
    files = tuple(
        ResultFile(path=Path(path), only_refused=name == "rejects")
        for name, path in (("results", options.results), ("rejects", options.rejects))
        if path is not None
    )
    origin = path_of(source)
    local = None if origin is None or is_url(origin) else Path(origin)
    if local is not None:
        source_suffix(local.name)
    for file in files:
        require_writable(file.path)
    _require_different(
        {"the source": local, "journal": options.journal, "results": options.results, "rejects": options.rejects}
    )
    path = _journal_path(local, options, family)
    if path is None and options.resume:
        raise BadSourceError("resume needs a place where the earlier run was kept: give journal= or results=")
    if options.dry_run or path is None:
        folder = tempfile.TemporaryDirectory(prefix="carecloud-bulk-", ignore_cleanup_errors=True)
        return RunFiles(journal=Path(folder.name) / "journal.db", folder=folder, files=files)
    return RunFiles(journal=path, folder=None, files=files)


def _journal_path(local: Path | None, options: BulkWriteOptions, family: str) -> Path | None:
    if options.journal is not None:
        return Path(options.journal)
    file = local or (None if options.results is None else Path(options.results))
    return None if file is None else file.with_name(f".{file.name}.{family}.bulk.db")


def _require_different(paths: dict[str, Any]) -> None:
    given = [(name, Path(path)) for name, path in paths.items() if path is not None]
    for (name, path), (other, second) in combinations(sorted(given), 2):
        if is_same_file(path, second):
            raise BadSourceError(f"{path}: {name} and {other} are the same file")


def write_results(
    journal: RowJournal, columns: Sequence[str], files: Iterable[ResultFile], *, dialect: Dialect
) -> None:
    """Write files from the journal; each appears whole. Blocks.

    Args:
        columns: the source's columns.
        dialect: the dialect of CSV files.

    Raises:
        BulkWriteError: the disk refuses.
    """
    for file in files:
        try:
            _write_file(journal, columns, file, dialect=dialect)
        except OSError as error:
            problem = f"{file.path}: {reason_of(error)}: nothing is lost"
            raise BulkWriteError(problem, fix=RESUME) from error


def _write_file(journal: RowJournal, columns: Sequence[str], file: ResultFile, *, dialect: Dialect) -> None:
    added = _REJECT_COLUMNS if file.only_refused else OUTCOME_COLUMNS
    names = [*(column for column in columns if column not in OUTCOME_COLUMNS), *added]
    rows = _rows(journal, only_refused=file.only_refused)
    write_rows(file.path, rows, names, dialect=dialect, owner=journal.path)


def write_rows(path: Path, rows: Rows, names: Sequence[str], *, dialect: Dialect, owner: Path | None = None) -> None:
    """Write rows into a file in the format of its suffix, which appears whole. Blocks.

    Args:
        path: the file.
        rows: rows with what is added to them.
        names: the columns, those that are added last.
        dialect: the dialect of CSV files.
        owner: the locked file of the run, which the unfinished file is named after; without one it has a name that no
            other run takes.

    Raises:
        OSError: the disk refuses.
    """
    suffix, packing = split_suffix(path.name)
    prepared = partial_path(path, owner=owner or _nobody())
    raw = create_private(prepared)
    try:
        stream = compressing(cast("BinaryIO", raw), packing)
        _WRITERS[suffix](stream, rows, names, dialect)
        stream.close()
        raw.flush()
        os.fsync(raw.fileno())
    except BaseException:
        raw.close()
        prepared.unlink(missing_ok=True)
        raise
    raw.close()
    publish(prepared, path, overwrite=True)


def require_place(source: Any, results: Path) -> None:
    """Check that results can be written, and do not replace their source. Blocks.

    Raises:
        BadSourceError: they cannot, or would.
    """
    origin = path_of(source)
    if origin is not None and not is_url(origin) and is_same_file(origin, results):
        raise BadSourceError(f"{results}: results and the source are the same file")
    require_writable(results)


def require_writable(path: Path) -> None:
    """Check that a file of rows can be written, before anything is sent.

    Raises:
        BadSourceError: it cannot, or its suffix names no format.
    """
    split_suffix(path.name, formats=tuple(_WRITERS))
    if not path.parent.is_dir():
        raise BadSourceError(f"{path}: the folder does not exist: make it first")
    if path.is_dir():
        raise BadSourceError(f"{path}: it is a directory: name a file")
    prepared = partial_path(path, owner=_nobody())  # that of another run is left alone
    try:
        create_private(prepared).close()
        prepared.unlink()
    except OSError as error:
        fix = OTHER_PLACE if error.errno in UNWRITABLE else None
        raise BadSourceError(f"{path}: {reason_of(error)}", fix=fix) from error


def _nobody() -> Path:
    return Path(secrets.token_hex(8))


def _rows(journal: RowJournal, *, only_refused: bool) -> Rows:
    for line, source, result in journal.results(only=Outcome.REFUSED if only_refused else None):
        outcome = outcome_row(line, result.outcome, result.record_id, result.changed_fields, result.reasons)
        added = {name: outcome[name] for name in _REJECT_COLUMNS} if only_refused else outcome
        yield from with_outcome(source, added)


def outcome_row(
    line: int | None, outcome: str, record_id: str | None, changed: Iterable[str] = (), reasons: Iterable[str] = ()
) -> dict[str, Any]:
    """Return what is added to the columns of a row; a record without a row has no line."""
    values = ("" if line is None else line, str(outcome), record_id, [*changed], [*reasons])
    return dict(zip(OUTCOME_COLUMNS, values, strict=True))


def with_outcome(source: bytes | None, added: Mapping[str, Any]) -> Rows:
    """Yield the lines of a row as the source has them, with what is added to each; one of several has its number."""
    row = json.loads(source) if source else {}
    for values in [row] if isinstance(row, dict) else row:
        of_line = {} if values is row else {LINE: values[LINE]}
        yield {name: value for name, value in values.items() if name not in OUTCOME_COLUMNS}, {**added, **of_line}


def _write_csv(stream: BinaryIO, rows: Rows, names: Sequence[str], dialect: Dialect) -> None:
    text = cast("TextIO", io.TextIOWrapper(stream, encoding=dialect.encoding, errors="backslashreplace", newline=""))
    writer = csv.writer(text, delimiter=dialect.delimiter)
    writer.writerow(names)
    for values, outcome in rows:
        columns = names[: len(names) - len(outcome)]
        writer.writerow([*(_text(values.get(name)) or "" for name in columns), *map(_joined, outcome.values())])
    text.flush()
    cast("io.TextIOWrapper", text).detach()


def _write_jsonl(stream: BinaryIO, rows: Rows, _names: Sequence[str], _dialect: Dialect) -> None:
    for values, outcome in rows:
        line = json.dumps({**values, **outcome}, ensure_ascii=False, separators=(",", ":"))
        stream.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _joined(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else value or ""


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Final[Mapping[str, Callable[[BinaryIO, Rows, Sequence[str], Dialect], None]]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
