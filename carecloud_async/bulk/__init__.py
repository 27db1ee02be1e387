"""Bulk writes: rows in, one outcome for each, exact after a kill.

**The guarantee.** Each row of the source has exactly one outcome: `created`, `updated`, `unchanged`, `refused`,
`conflict` or `unknown`; they add up to the number of rows. A row with a key makes one record at most, through lost
answers, kills, crashes, several runs of the same file, several runs at once of one user on one machine. A row without a
key whose answer was lost is `unknown` and is never sent again by itself. Only the fields that a row names are
changed.

**How.** All rows are read and checked first, without the server, into a journal (a run file). Each row is one write or
more, its record and its parts, and each write passes through the states that `machine` draws: its key is claimed, its
record looked up, the write decided, noted durably and sent; the key is released when the outcome is known. A write
whose answer was lost is looked up soon, and sent again when its request has acted or never will.

**Its limits.** A server that holds all writes for minutes may make a row twice that was sent twice: it is `unknown`,
with the ids. The API has no conditional writes: a change that another program makes between the read and the `PUT`, ten
seconds at most, is overwritten. Keys are unique for a user on a machine: two machines, or two users of one machine,
that create the same key at the same time may both create it.

**Where to begin.** `machine` draws a write. `run` writes a source from beginning to end. `sources` read its rows,
`columns` finds the field of each column, and `check` checks each row (`convert` its values, in the `spellings` of
people) for the `journal`. `engine` then leads the rows through the machine: `held_keys` and `claims` hold their keys,
`records` and `parts` look them up (`finding`) and decide (`decide`, by `compare`), `gate` lets them leave, `sending`
sends them. `metrics` counts, `results` writes the files. `writer` does the same for single rows. `family` says what all
of this needs of a family.
"""

from carecloud_async.bulk.errors import BadSourceError, BulkWriteError, TooManyRefusedError
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.report import BulkProgress, BulkWriteReport

__all__ = [
    "BadSourceError",
    "BulkProgress",
    "BulkWriteError",
    "BulkWriteReport",
    "Outcome",
    "RowResult",
    "TooManyRefusedError",
]
