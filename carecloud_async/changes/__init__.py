"""What was created, updated and deleted in a list since the last run, for any list of the API.

    async with client.cards.list().changes(state="cards.state") as changes:
        async for change in changes:
            apply(change.kind, change.id, change.record)
    changes.report

**How it works.** The list is read by the same scan as exports (`carecloud_async.export`) and compared with a state
file, an SQLite database that keeps the id and two digests of each record in some 60 bytes. What differs is collected in
a file beside it while the list is read, and handed out when the reading is over. A run that fails or is killed before
that leaves the state as it was. One that fails or is killed later has noted these changes: the next run brings the same
changes again, and after them what changed since. So a copy stays right also where a record was created, handed out and
deleted in between.

**When a deletion is certain.** A record is deleted if the state knows it and an exact reading of the whole list
(`report.exact`) did not meet it. Where the reading is not exact, creations and updates are handed out, and deletions
wait for a later run. If more than half of the known records are gone, the run fails and changes nothing: a filter, a
right or a server is then more likely at fault (`allow_shrink=True` takes it). The same holds for a list that changed
while it was read and whose last total is less than half of them: a right that is taken away hides the end of the list.
The state belongs to one project, list, filter, language and identity; others are refused.

**What an update is.** The record differs as JSON, whatever the order of its fields and the whitespace. `keep="records"`
keeps the records as well, compressed, and `Change.fields` then names the fields that differ.

**What it costs.** A calm run is one export without a file: where pages are ranges of ids, the digests of a page's range
are read at once, and a record whose text is among them is unchanged. `compare_every=timedelta(days=7)` reads only what
changed by `last_change` in between, and finds deletions once a week.
"""

from carecloud_async.changes.values import Change, ChangesReport

__all__ = ["Change", "ChangesReport"]
