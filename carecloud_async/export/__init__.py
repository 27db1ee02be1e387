"""Exports: a whole list into a file, exactly, resumably, in little memory.

    report = await client.customers.list(count=1000).export("customers.parquet", resume=True)

**The guarantee.** Every record that was in the list from the beginning of the export to its end is in the file exactly
once. Records that came or went meanwhile may or may not be. A record that changed is there as it was when its page was
read. `report.drifted` tells that the list was seen to change, `report.settled` that the guarantee holds.

**How.** The list is read in the order of its ids, which never change: every page is then a run of records without gaps.
Each page overlaps the one before by one row. A page that does not begin within what is known may have a gap before
it: pages further back are read until one connects. What is greater than the last id is new, so nothing that was
seen has to be remembered, and no record can come twice. That the server does keep the order of ids is checked on
every page. Where it does not (or the user asks for another sort), the ids go into a file, and the list is read again
until a whole reading neither moves nor brings anything new.

**What it costs.** A calm list costs one or two requests more than it has pages. Each gap costs a request or two, and
widens the overlap of the pages to come, so that steady change costs some wider pages. A list that changes endlessly
costs at most four times its requests, or ten readings where there is no order; then the export ends with
`settled=False`. Memory holds the pages in flight. On disk, formats that are written at the end (CSV, Parquet and your
own) need room for the records as JSON beside the file.

**Its limits.** A server that leaves records out of its pages without moving the others cannot be found out. A list
whose records have no ids tells them apart by their whole text. Sorts of the user's own have ties, and a server may
deal them anew for each page: such a list is whole when as many records were met as `total_items` says.
With `changed_since`, a record that changes during the export may be left to the next one: its mark,
`report.next_changed_since`, lies before the beginning of this one.

**Resuming.** Beside the target, `NAME.partial/` holds the records so far and a checkpoint, which is bound to the query
and to every byte of them. The final name appears when the file is whole, and the directory is gone then.
"""

from carecloud_async.export.formats.registry import register_sink
from carecloud_async.export.formats.sinks import CsvOptions, Layout, Sink
from carecloud_async.export.report import ExportReport, OnProgress, Progress

__all__ = ["CsvOptions", "ExportReport", "Layout", "OnProgress", "Progress", "Sink", "register_sink"]
