"""The results file (every row with its outcome) and the rejects file (the refused rows)."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO, TypeAlias, cast

from attrs import frozen

from carecloud_async.bulk.errors import BadSourceError
from carecloud_async.bulk.journal import Journal
from carecloud_async.bulk.outcome import OUTCOME_COLUMNS, Outcome, RowResult
from carecloud_async.bulk.sources.files import split_suffix
from carecloud_async.export.errors import missing_extra
from carecloud_async.export.formats.compression import compressing
from carecloud_async.runtime.durable_files import create_private, sync_folder

__all__ = ["ResultFile", "write_results"]

#: The columns that follow those of the source in the rejects. `Columns` ignores all of them in a source.
_REJECT_COLUMNS: Final = ("line", "reasons")
#: Rows with what is added to them.
_Rows: TypeAlias = Iterator[tuple[Mapping[str, Any], dict[str, Any]]]


@frozen(kw_only=True)
class ResultFile:
    """A file that is written from the journal at the end.

    Attributes:
        path: its final name.
        only_refused: whether it holds the refused rows alone, with their reasons.
    """

    path: Path
    only_refused: bool

    def check(self) -> None:
        """Check that it can be written.

        Raises:
            BadSourceError: its name has no format, or its folder is missing.
        """
        split_suffix(self.path.name)
        if not self.path.parent.is_dir():
            raise BadSourceError(f"{self.path}: the folder does not exist")


def write_results(journal: Journal, columns: Sequence[str], files: Iterable[ResultFile], *, delimiter: str) -> None:
    """Write files from the journal; each appears whole. Blocks.

    Args:
        journal: the journal.
        columns: the source's columns.
        files: the files.
        delimiter: the delimiter of CSV files.

    Raises:
        OSError: the disk refuses.
    """
    for file in files:
        suffix, packing = split_suffix(file.path.name)
        partial = file.path.with_name(f".{file.path.name}.partial")
        raw = create_private(partial)
        try:
            stream = compressing(cast("BinaryIO", raw), packing)
            added = _REJECT_COLUMNS if file.only_refused else OUTCOME_COLUMNS
            names = [*(one for one in columns if one not in OUTCOME_COLUMNS), *added]
            _WRITERS[suffix](stream, _rows(journal, only_refused=file.only_refused), names, delimiter)
            stream.close()
            raw.flush()
            os.fsync(raw.fileno())
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        finally:
            raw.close()
        partial.replace(file.path)
        sync_folder(file.path.parent)


def _rows(journal: Journal, *, only_refused: bool) -> _Rows:
    only = Outcome.REFUSED if only_refused else None
    for line, source, result in journal.results(only=only):
        values = json.loads(source.decode("utf-8", "surrogatepass")) if source else {}
        outcome = _outcome(line, result)
        kept = {name: value for name, value in values.items() if name not in OUTCOME_COLUMNS}
        yield kept, {name: outcome[name] for name in _REJECT_COLUMNS} if only_refused else outcome


def _outcome(line: int, result: RowResult) -> dict[str, Any]:
    return {
        "line": line,
        "outcome": result.outcome.value,
        "record_id": result.record_id,
        "changed_fields": list(result.changed_fields),
        "reasons": list(result.reasons),
    }


def _write_csv(stream: BinaryIO, rows: _Rows, names: Sequence[str], delimiter: str) -> None:
    text = cast("TextIO", io.TextIOWrapper(stream, encoding="utf-8", errors="surrogatepass", newline=""))
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(names)
    for values, outcome in rows:
        columns = names[: len(names) - len(outcome)]
        writer.writerow([*(_text(values.get(name)) or "" for name in columns), *map(_joined, outcome.values())])
    text.flush()
    cast("io.TextIOWrapper", text).detach()


def _write_jsonl(stream: BinaryIO, rows: _Rows, _names: Sequence[str], _delimiter: str) -> None:
    for values, outcome in rows:
        line = json.dumps({**values, **outcome}, ensure_ascii=False, separators=(",", ":"))
        stream.write(line.encode("utf-8", "surrogatepass") + b"\n")


def _write_parquet(stream: BinaryIO, rows: _Rows, names: Sequence[str], _delimiter: str) -> None:
    try:
        import pyarrow  # an extra
        import pyarrow.parquet
    except ImportError:
        raise missing_extra(".parquet", "parquet") from None
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        batch: list[dict[str, Any]] = []
        for values, outcome in rows:
            batch.append({name: _text(value) for name, value in {**values, **outcome}.items()})
            if len(batch) >= 1000:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
                batch = []
        writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _joined(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else value or ""


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Final[Mapping[str, Callable[[BinaryIO, _Rows, Sequence[str], str], None]]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
