"""Export a whole list into a file: exactly, resumably, in little memory.

    report = await client.customers.list().export("customers.parquet", resume=True)

**The guarantee.** Every record that was in the list from the beginning of the export to its end is in the file exactly
once. Records that were created or deleted meanwhile may be missing. A changed record has the state it had when its page
was read. `report.list_changed` says that the list was seen to change, `report.exact` that the guarantee holds.

**How it works.** The list is read in the order of its ids, which never change: every page is then a run of records
without gaps. Each page overlaps the one before by one row. A page connects if it holds a record accepted before, and
the records after that one are new; so only the ids of a few pages are remembered. A page that does not connect may
have a gap before it: earlier pages are read until one connects. Every page is checked for an order of ids (as text, as
numbers, ignoring case; rising or falling), and nothing is concluded while the possible orders disagree. If the server
keeps no order of ids (or the user asks for another sort), all ids go into a file, and the list is read again until a
complete pass finds no new record.

**What it costs.** A list that does not change costs one or two requests more than it has pages. Each gap costs a
request or two and widens the overlap of later pages, so that steady change costs some wider pages. A list that never
stops changing costs at most five times its requests, or ten passes without an order; then the export ends with
`exact=False`. Memory holds the pages in flight. All formats but JSON Lines also need disk space for the records as
JSON, next to the file.

**When it is exact.** No gap is left between the pages; the order of the records is shown to be stable; the last page
ends where its own total says; and as many records were read as the largest total that any answer gave. A smaller total
counts if five answers in a row gave no larger one: the first five, because records were created since, or the last
five, because records were deleted. Records that move towards the end of the list by more than its total rises show that
earlier pages left some out, unless the list is seen to lose records too. A list that fails one of the last three is
read at most twice more, with all ids remembered, before it is called exact or not.

**Its limits.** `exact` is false unless the guarantee is shown to hold: it is false if the list kept changing until the
end, if the server sends one record at a time or shuffles its records for each page (as sorts with ties may do), or if
the records found and its totals disagree. A short list in tiny pages is read again until its order cannot be a
coincidence. Two faults cannot be detected: a server that hides some records from all answers and from their totals, or
from some answers while as many others come and go, and one that switches to another order of ids meanwhile. Records
without ids, or whose ids are not unique, are identified by their whole text. With `changed_since`, a record that
changes during the export may be left to the next one: the next mark, `report.next_changed_since`, lies before the
start of this export.

**Times of change.** `last_change` is read as the API writes it, local to the project, or with an offset. A zero date
says never. A record whose time is missing or cannot be read may have changed, and is written; with `state=` only if its
text differs from that of the last run. If a time is written in another form, its place in a sort is unknown too: the
list is read whole, with a warning. Times of UTC without an offset look like local ones: until a change shows that the
times are local (read as UTC, it would be later than the server's `Date`), the next mark lies earlier by the zone's
distance from UTC.

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
from carecloud_async._lists.export.report import ExportReport, OnProgress, Progress

__all__ = ["CsvOptions", "ExportReport", "Layout", "OnProgress", "Progress", "RecordBatches", "Sink", "register_sink"]
