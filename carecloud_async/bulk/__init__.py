"""Bulk writes: rows in, one outcome for each, exact after a kill.

**The guarantee.** Each row of the source has exactly one outcome: `created`, `updated`, `unchanged`, `refused`,
`conflict` or `unknown`; they add up to the number of rows. A row with a key makes one record at most, whatever happens:
lost answers, kills, crashes, several runs of the same file, two runs at once on one machine. A row without a key whose
answer was lost is `unknown` and is never sent again by itself. Only the fields that a row names are changed.

**How.** All rows are read and checked first, without the server, into a journal (one private SQLite file). Records are
found by their keys, many in a request, or by one exact reading of the list where that costs fewer requests. An intent
is durable before its request is sent. After a lost answer or a kill the row is looked up by its key. It is sent again
only if it is still not found after a time that is longer than any request takes.

**Its limits.** The API has no conditional writes: a change that another program makes between the read and the `PUT` is
overwritten. Keys are unique per machine: two machines that create the same key at the same time may both create it.

**Where to begin.** `run` writes a source from beginning to end: `sources`, `columns`, `convert` and `check` make its
rows ready for the `journal`. `writing` then takes them chunk by chunk: `chunk_decider` finds their records (`finding`)
and decides (`decide`, `parts`), the `registry` keeps other runs from the same keys, and `sending` sends. `lost_answers`
judges rows that were sent without an answer; `results` writes the files. `writer` does the same for single rows.
"""

from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.report import BulkProgress, BulkWriteReport

__all__ = ["BulkProgress", "BulkWriteError", "BulkWriteReport", "Outcome", "RowResult"]
