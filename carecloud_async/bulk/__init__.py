"""Bulk writes: rows in, one outcome for each, exact after a kill.

**The guarantee.** Each row of the source has exactly one outcome: `created`, `updated`, `unchanged`, `refused`,
`conflict` or `unknown`; they add up to the number of rows. A row with a key makes one record at most, whatever happens:
lost answers, kills, crashes, several runs of the same file, two runs at once on one machine. A row without a key whose
answer was lost is `unknown` and is never sent again by itself. Only what a row names is changed.

**How.** All rows are read and checked first, without the server, into a journal (one private SQLite file). Records are
found by their keys, many a request, or by one exact reading of the list where that costs fewer requests. What is about
to be sent is durable before the request leaves. After a lost answer or a kill the row is looked up by its key, and is
sent again only when it still does not show after a settle time that is longer than any request takes.

**Its limits.** The API has no conditional writes: a record that someone else changes between our read and our `PUT` is
overwritten. Keys are unique per machine: two machines that create the same key at the same time both may.
"""

from carecloud_async.bulk.errors import BulkWriteError
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.report import BulkProgress, BulkWriteReport

__all__ = ["BulkProgress", "BulkWriteError", "BulkWriteReport", "Outcome", "RowResult"]
