"""What was created, updated and deleted in a list since the last run, for any list of the API.

    async with client.cards.list().changes(state="cards.state") as changes:
        async for change in changes:
            apply(change.kind, change.id, change.record)
    changes.report

**How it works.** The list is read by the same scan as exports (`carecloud_async.export`) and compared with a state
file, an SQLite database that keeps the id and two digests of each record in some 60 bytes. What differs is collected in
a table of it while the list is read, and returned after the last page. A run that fails or is killed before that leaves
the state unchanged. A run that fails or is killed later has recorded these changes: the next run returns the same
changes again, and then what changed since. So a copy stays correct even if a record was created, returned and deleted
in between.

`await changes.to_file("changes.jsonl")` writes them to a file instead, as `carecloud changes` does: it appears whole,
and the state moves together with it.

**When a deletion is certain.** A record is deleted if the state knows it and an exact reading of the whole list
(`report.exact`) did not find it. If the reading is not exact, creations and updates are returned, and deletions wait
for a later run. If more than half of the known records are gone, the run fails and changes nothing: a filter, a right
or a server is the likelier cause (`allow_shrink=True` accepts it). The same holds for a list that changed while it was
read and whose last total is less than half of them: a right that is taken away hides the end of the list. The state
belongs to one project, list, filter, language and identity; others are refused.

**What an update is.** The record differs as JSON; the order of its fields and whitespace do not count. `keep="records"`
stores the records too, compressed, and `Change.fields` then names the fields that differ.

**What it costs.** A run without changes costs one export without a file: where pages are ranges of ids, the digests of
a page's range are read together, and a record whose text is among them is unchanged. `compare_every=timedelta(days=7)`
reads only what changed by `last_change` in between, and finds deletions once a week.
"""

from carecloud_async._lists.changes.reader import Changes
from carecloud_async._lists.changes.values import Change, ChangesReport

__all__ = ["Change", "Changes", "ChangesReport"]
