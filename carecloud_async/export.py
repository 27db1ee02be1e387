"""Export a whole list into a file: exactly, resumably, in little memory.

    report = await client.customers.list().export("customers.parquet", resume=True)

**The guarantee.** Every record that was in the list from the beginning of the export to its end is in the file exactly
once. Records that were created or deleted meanwhile may be missing. A changed record has the state it had when its page
was read. `report.list_changed` says that the list was seen to change. `report.exact` says that the guarantee holds; if
it may not, `report.reasons` says why, and what helps.

**How it works.** The list is read from front to back, in the order of its ids, which never change: a sweep. Each page
overlaps the one before, and is taken if it shows a record of the last pages: what lies between is known then, however
the list has changed. If it shows none, records were deleted: earlier pages are read until one does. So a sweep that
reaches the end has shown each record that was there all the time, provided that the order is stable and no answer
leaves anything out. Whatever a page shows is written, once.

**When it is exact.** One sweep has to prove it. Its pages show an order of ids (as text, as numbers, ignoring case;
rising or falling), or agree on the order of the records in which they overlap, so often that chance cannot explain it.
It showed as many records as the largest total that any answer gave; a smaller total counts if five answers in a row
gave no larger one. A list that does not change, and shows as many records as its total counts, is exact in any order.
Otherwise there is another sweep: three at most, or ten while a list in no order of ids shows new records.

**What it costs.** A list that does not change costs one or two requests more than it has pages. Each gap costs some
requests and widens the overlap of later pages. A sweep ends after four times its requests. The ids of all records are
noted in the run file; when the order breaks, or a second sweep is needed, they become a table, which costs two
microseconds for each. Memory holds the pages in flight. All formats but JSON Lines also need disk space for the records
as JSON, next to the file.

**Its limits.** Two faults cannot be detected: a server that hides some records from all answers and from their totals,
or from some answers while as many others come and go, and one that switches to another order of ids meanwhile. A short
list in tiny pages without totals is read again until its order cannot be a coincidence. Records without ids, or whose
ids are not unique, are identified by their whole text. With `changed_since`, a record that changes during the export
may be left to the next one: the next watermark, `report.next_changed_since`, lies two minutes before this one began.

**Times of change.** `last_change` is read as the API writes it, local to the project, or with an offset. A zero date
says never. A record whose time is missing or cannot be read may have changed, and is written; with `state=` only if its
text differs from that of the last run. If a time is written in another form, its place in a sort is unknown too: the
list is read whole. `carecloud check` compares the times with the server's clock, and warns if they fit another zone.

**How many pages, and how large.** Both are found while the list is read, unless the user sets them (`count`,
`concurrency`). Neither changes what is in the file.

**Resuming.** Next to the target, `.NAME.run/` holds the records so far and a run file with the checkpoint. It is bound
to the query, the identity and every byte of the records. When the file is complete it gets its final name, and the
folder is removed, or keeps the report for the next run with `resume=True`.

**Formats.** JSONL and CSV hold what the server sent, except that CSV has no column for a scalar in the place of an
object. Parquet always has the columns and types of the model, so that the files of all nights have one schema: fields
that the model does not know are JSON text in the last column, `unknown_fields`, and timestamps are UTC. `report.nulls`
counts the values that no column could hold.
`listing.arrow()` streams batches of the same columns without a file.

**Privacy.** Files hold personal data: they are made readable by their owner alone (0600, folders 0700), and the
finished file stays so unless `mode=` says otherwise. No file is opened through a link; a working folder that belongs to
another user, or that holds links, is refused. In a folder that others may write to, only its sticky bit (as `/tmp` has)
keeps them from replacing your files. A password in a target URL is shown as `***` and never stored. Storage services
apply permissions of their own.
"""

from carecloud_async._lists.export.batches import RecordBatches
from carecloud_async._lists.export.formats.registry import register_sink
from carecloud_async._lists.export.formats.sinks import CsvOptions, Layout, Sink
from carecloud_async._lists.export.reasons import InexactReason
from carecloud_async._lists.export.report import ExportReport, OnProgress, Progress

__all__ = [
    "CsvOptions",
    "ExportReport",
    "InexactReason",
    "Layout",
    "OnProgress",
    "Progress",
    "RecordBatches",
    "Sink",
    "register_sink",
]
