"""`carecloud import`: the rows of a file into a project."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import attrs
import typer

from carecloud_async.bulk import BulkProgress, BulkWriteReport
from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.options import column_map
from carecloud_async.bulk.outcome import Outcome
from carecloud_async.cli.connect import MAX_CONNECTIONS, Connection, require_token
from carecloud_async.cli.console import ends_questions, is_terminal, say
from carecloud_async.cli.failures import FAILED, StoppedError, UsageError
from carecloud_async.cli.lists import check_bulk_family, split_pair
from carecloud_async.cli.parameters import (
    COLUMN_FIELDS,
    ENCODING,
    OF,
    RATE,
    REPORT,
    RESUME,
    ROWS,
    SETTLE,
    argument,
    expands_options,
    flag,
    option,
)
from carecloud_async.cli.reports import (
    count_outcomes,
    counted,
    describe_progress,
    finish,
    prepare_report,
    show_progress,
)
from carecloud_async.client import CareCloud
from carecloud_async.errors import CareCloudError, ConfigurationError
from carecloud_async.resources.lookup.by_name import open_family, plain_name

#: Rows whose outcome is shown before the question on a terminal.
_FIRST = 100
#: The most common reasons that are printed at the end.
_REASONS = 3
#: The lines that are named of each.
_LINES_SHOWN = 5
#: Fields and reasons that are shown of them.
_SHOWN = 5


@attrs.frozen(kw_only=True)
class RowsOptions:
    """How the rows of a file are read; the arguments of `bulk_write` and `compare` under the command's names."""

    encoding: str | None = ENCODING
    decimal: Literal[".", ","] | None = option(
        "SIGN", "Decimal sign of the numbers, such as ','; thousands may be separated then."
    )
    date_format: str | None = option("FORMAT", "Format of dates, such as dd/mm/yy or mm/dd/yyyy.")
    phone_prefix: str | None = option("PREFIX", "Prefix of phone numbers that have none, such as +420.")
    columns: str | None = option("FILE", "A .toml or .json file: column = field, and what its words stand for.")
    column: list[str] | None = COLUMN_FIELDS
    ignore_column: list[str] | None = option("COLUMN", "A column that is left out; may be repeated.")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments in Python.

        Raises:
            BulkWriteError: the file of the columns cannot be read.
            UsageError: a column is written in another way.
        """
        values = attrs.asdict(self)
        pairs = [split_pair("--column", text, example="E-mail=email") for text in values.pop("column") or ()]
        values["columns"] = {**column_map(self.columns), **dict(pairs)}
        values["ignore_columns"] = values.pop("ignore_column") or []
        return values


@attrs.frozen(kw_only=True)
class ImportOptions(RowsOptions):
    """What is imported, and how; the arguments of `bulk_write` under the names of the command line."""

    match: str = option(
        "KEY", "The column that identifies a record, such as email; none: each row creates a record.", default=...
    )
    mode: Literal["upsert", "create", "update"] = option(
        "NAME", "upsert, create (a known key is a conflict), or update.", default="upsert"
    )
    as_written: list[str] | None = option(
        "COLUMN", "A column whose values are right, though they look like shortened numbers (7.7E+12); may be repeated."
    )
    default: list[str] | None = option(
        "FIELD=VALUE", "The value of a field in new records whose rows have none; may be repeated."
    )
    value: list[str] | None = option("FIELD=VALUE", "The value of a field in every row; may be repeated.")
    blank: Literal["keep", "clear"] = option(
        "NAME", "What an empty cell does to the field: keep it, or clear it.", default="keep"
    )
    if_unchanged: bool = flag(
        "A row with an older last_change than its record is a conflict, and not written.", "--if-unchanged"
    )
    results: str | None = option("FILE", "Write all rows with their outcomes to FILE: .csv or .jsonl.")
    rejects: str | None = option(
        "FILE", "Write the refused rows with the reasons to FILE, to correct and import them again."
    )
    journal: str | None = option(
        "FILE", "Where the progress of the run is kept, for --resume; by default in the folder of the rows."
    )
    resume: bool = RESUME
    dry_run: bool = flag("Find the outcome of each row, but write nothing to the project.", "--dry-run")
    max_refused: float | None = option("N", "Stop when more than N rows are refused; between 0 and 1, N is a share.")
    concurrency: int | None = option("N", "Requests in flight at once; by default 20.", min=1)
    settle: float | None = SETTLE

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `bulk_write`."""
        values, most = super().arguments(), self.max_refused
        defaults, of_all = (values.pop(name) or [] for name in ("default", "value"))
        return values | {
            "match": None if self.match == "none" else self.match,
            "as_written": self.as_written or [],
            "defaults": dict(split_pair("--default", text, example="state=1") for text in defaults),
            "values": dict(split_pair("--value", text, example="state=1") for text in of_all),
            "max_refused": int(most) if most is not None and 1 <= most < math.inf else most,
        }


@expands_options
def import_rows(
    connection: Connection,
    options: ImportOptions,
    resource: str = argument("RESOURCE", "Such as customers, or customers.addresses with --of."),
    file: str = ROWS,
    of: list[str] | None = OF,
    rate: float | None = RATE,
    report: str | None = REPORT,
    scaffold: str | None = option(
        "FILE",
        "Write the columns of the rows, with the fields that they probably are, to FILE, a .toml file for"
        " --columns; nothing is imported.",
    ),
    yes: bool = flag("Do not ask before writing.", "--yes", "-y"),
) -> int:
    """Create and update records from the rows of a file.

    Each row has one outcome, and a row with a key makes one record at most. On a terminal the command first shows what
    it would do with the first hundred rows, and asks. A run that was stopped continues with --resume.

    For example:

    - carecloud import customers new.csv --match email --default customer_source_id=86e05affc7a7abefcd513ab400

    - carecloud import cards cards.csv --match card_number --results results.csv --yes

    - carecloud import customers shop.csv --match email --scaffold columns.toml
    """
    resource = plain_name(resource)
    check_bulk_family(resource, of or [])
    if scaffold is not None:
        return _write_scaffold(connection, resource, of or [], file, encoding=options.encoding, name=scaffold)
    arguments = options.arguments()
    own = {name: getattr(options, name) for name in ("columns", "results", "rejects", "journal")}
    prepare_report(report, file=file, **own)
    asks = not (yes or options.resume or options.dry_run) and is_terminal(redraws=False) and sys.stdin.isatty()
    last: list[BulkProgress] = []

    async def work(client: CareCloud) -> BulkWriteReport | None:
        family = open_family(client, resource, of or [])
        await require_token(client)
        if asks and not await _confirmed(family, file, arguments):
            return None
        with show_progress(resource) as show:

            def on_progress(progress: BulkProgress) -> None:
                last[:] = [progress]
                show(progress)

            done: BulkWriteReport = await family.bulk_write(file, **arguments, on_progress=on_progress)
            return done

    connections = max(options.concurrency or 0, MAX_CONNECTIONS)
    interrupted = partial(_interrupted, last, dry_run=options.dry_run)
    try:
        done = connection.run(work, interrupted=interrupted, rate=rate, connections=connections)
    except (ConfigurationError, UsageError):
        raise
    except CareCloudError as error:
        if isinstance(error, BulkWriteError):
            if error.report is None:  # nothing had begun
                raise
            _say_reasons(error.report)
        raise StoppedError from error
    if done is None:
        say("nothing was written")
        return FAILED
    _say_reasons(done)
    return finish(resource, done, describe(resource, done), file=report, ok=done.complete)


def _write_scaffold(
    connection: Connection, resource: str, of: Sequence[str], file: str, *, encoding: str | None, name: str
) -> int:
    """Write a first file for `--columns`."""
    from carecloud_async.bulk.scaffold import Scaffold, make_scaffold  # few imports begin with it

    path = Path(name)
    if path.suffix.lower() != ".toml":
        raise UsageError(f"--scaffold {name}: name a file that ends with .toml")
    if path.exists():
        raise UsageError(f"--scaffold {name}: the file exists: name another one, or remove it")

    async def work(client: CareCloud) -> Scaffold:
        await require_token(client)
        return await make_scaffold(open_family(client, resource, of)._as_family(), file, encoding=encoding)

    made = connection.run(work)
    try:
        with path.open("x", encoding="utf-8") as written:
            written.write(made.text)
    except OSError as error:
        raise UsageError(f"--scaffold {name}: {error.strerror}") from None
    lacking = f", {len(made.unknown)} without a field" if made.unknown else ""
    say(f"{name}: {counted(made.columns, 'column', 'columns')}{lacking}; correct it, then import with --columns {name}")
    return 0


def _interrupted(last: Sequence[BulkProgress], *, dry_run: bool) -> str:
    """Return how far an import came that was interrupted, and how it goes on.

    Args:
        last: the last progress, if there was any.
        dry_run: whether nothing is written, so that there is nothing to go on with.
    """
    if not last:
        return "interrupted before anything was read: run it again"
    end = "nothing was written" if dry_run else "nothing is lost: the same command with --resume goes on"
    return f"interrupted: {describe_progress(last[0])}; {end}"


def describe(resource: str, report: BulkWriteReport) -> str:
    """Return the outcome of an import as one line."""
    would = " (dry run: nothing was written)" if report.dry_run else ""
    requests, rows = counted(report.requests, "request", "requests"), counted(report.rows, "row", "rows")
    outcomes = count_outcomes(report) or "none"
    words = [f"{rows} of {resource}: {outcomes}{would} ({report.seconds:.1f} s, {requests})"]
    if not report.complete:
        words.append(f"see {report.results}" if report.results else "--results FILE gives the reasons")
    if report.rejects and report.refused:
        words.append(f"{report.rejects} holds the refused rows")
    return "; ".join(words)


def _say_reasons(report: BulkWriteReport) -> None:
    for reason, rows in islice(report.reasons.items(), _REASONS):
        lines = _lines(report.reason_lines.get(reason, ()), rows)
        say(f"{counted(rows, 'row', 'rows')}{lines}: {reason}{_fix(reason)}")


def _fix(reason: str) -> str:
    """Return the option that gives a field which new records need and rows lack."""
    field, _, why = reason.partition(": ")
    return f"; --default {field}=… gives it to new records" if why == "required" else ""


def _lines(lines: Sequence[int], rows: int) -> str:
    """Return the first lines of a reason in brackets, such as ` (lines 2, 5, 9 and more)`."""
    if not lines:
        return ""
    more = " and more" if rows > _LINES_SHOWN else ""
    return f" ({'line' if rows == 1 else 'lines'} {', '.join(map(str, lines[:_LINES_SHOWN]))}{more})"


async def _confirmed(family: Any, file: str, arguments: dict[str, Any]) -> bool:
    """Show what the first rows would do, and ask."""
    with tempfile.TemporaryDirectory(prefix="carecloud-import-") as folder:
        results = Path(folder) / "preview.jsonl"
        preview = {**arguments, "results": results, "rejects": None, "journal": None, "dry_run": True, "resume": False}
        done = await family.bulk_write(file, **preview, limit=_FIRST)
        rows = [json.loads(line) for line in results.read_text(encoding="utf-8").split("\n") if line]
    say(f"of the first {done.rows:,} rows: {count_outcomes(done) or 'none'}")
    if done.created:
        say(f"new records: {done.created:,}")
    known = [row for row in rows if row["outcome"] != Outcome.CREATED]  # of a new record every field is new
    for title, name in (("fields that change", "changed_fields"), ("reasons", "reasons")):
        most = Counter(text for row in known for text in row[name]).most_common(_SHOWN)
        if most:
            say(f"{title}: " + ", ".join(f"{text} ({count:,})" for text, count in most))
    with ends_questions():
        return typer.confirm("Write all rows?", err=True)
