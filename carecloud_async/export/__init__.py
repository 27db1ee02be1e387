"""Export a whole list into a file: exactly, resumably, in little memory.

    report = await client.customers.list().export("customers.parquet", resume=True)

**The guarantee.** Every record that was in the list from the beginning of the export to its end is in the file exactly
once. Records that came or went meanwhile may or may not be. A record that changed is there as it was when its page was
read. `report.list_changed` says that the list was seen to change, `report.exact` that the guarantee holds.

**How it works.** The list is read in the order of its ids, which never change: every page is then a run of records
without gaps. Each page overlaps the one before by one row. A page that holds a record accepted before connects, and
what follows that record is new; so the ids of a few pages are all that is remembered. A page that does not connect
may have a gap before it: pages further back are read until one does. That the server does keep an order of ids (as
text, as numbers, ignoring case; rising or falling) is checked on every page, and nothing is concluded while those
orders disagree. Where it keeps none (or the user asks for another sort), all ids go into a file, and the list is read
again until a whole reading brings nothing new.

**What it costs.** A calm list costs one or two requests more than it has pages. Each gap costs a request or two, and
widens the overlap of the pages to come, so that steady change costs some wider pages. A list that changes endlessly
costs at most four times its requests, or ten readings where there is no order; then the export ends with
`exact=False`. Memory holds the pages in flight. On disk, formats that are written at the end (CSV, Parquet and your
own) need room for the records as JSON beside the file.

**Its limits.** `exact` is false wherever the guarantee is not shown to hold: if the list kept changing until the
end, if the server sends one record at a time, shuffles its records for each page (as sorts with ties may do), or says
that there are more records than were found and no change that was seen explains it. A short list in tiny pages is read
again until its order is no chance. A server that leaves records out
of its pages without moving the others, or that goes over to another order of ids while records come and go, cannot be
found out. Records without ids, or whose ids are not unique, are told apart by their whole text. With `changed_since`,
a record that changes during the export may be left to the next one: its mark, `report.next_changed_since`, lies
before the beginning of this one.

**How many pages, and how large.** Both are found while the list is read, unless the user says them (`count`,
`concurrency`): one number is changed at a time, as long as more records a second come of it. Neither changes what is
in the file.

**Resuming.** Beside the target, `NAME.partial/` holds the records so far and a checkpoint, which is bound to the query,
the identity and every byte of them. The final name appears when the file is whole, and the directory is gone then.

**Formats.** JSONL and CSV hold what the server sent, CSV all but what stands in the place of an object whose fields are
columns. Parquet has the columns and types of the model whatever the records hold, so that the files of all nights fit
together: fields that the model does not know are JSON text in the last column, `unknown_fields`, and timestamps are
UTC. `report.nulls` counts what no column could hold.
`listing.arrow()` streams batches of the same columns without a file.

**Privacy.** Files hold personal data: they are made readable by their owner alone (0600, folders 0700), and the
finished file stays so unless `mode=` says otherwise. Nothing is opened through a link; a working folder of somebody
else, or one that holds links, is refused. In a folder that others may write to, only its sticky bit (as `/tmp` has)
keeps them from exchanging what is not theirs. A password in a target URL is shown as `***` and stored nowhere. What a
storage service makes of a file's permissions is its own affair.
"""

from carecloud_async.export.formats.registry import register_sink
from carecloud_async.export.formats.sinks import CsvOptions, Layout, Sink
from carecloud_async.export.report import ExportReport, OnProgress, Progress

__all__ = ["CsvOptions", "ExportReport", "Layout", "OnProgress", "Progress", "Sink", "register_sink"]
