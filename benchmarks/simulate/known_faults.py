"""Faults that the package had, each as a change of one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["KNOWN", "Fault"]


@frozen(kw_only=True)
class Fault:
    """A fault.

    Attributes:
        name: what it is.
        theme: the simulations in which it is looked for.
        file: the file, from the package's folder.
        right, wrong: a text that stands in it once, and what stands in its place.
        covered_by: the other safeguard that makes it harmless, so that no simulation finds it; empty for the rest.
    """

    name: str
    theme: str
    file: str
    right: str
    wrong: str
    covered_by: str = ""

    def make(self, package: Path) -> None:
        """Put it back into a copy of the package.

        Raises:
            ValueError: the text does not stand there once.
        """
        path = package / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.right!r} stands {text.count(self.right)} times in {self.file}")
        path.write_text(text.replace(self.right, self.wrong), encoding="utf-8")


_ABANDONED: Final = "await self._held.abandon_rows(hidden)"
_ENDED: Final = "ended = await self._db(partial(self._journal.end, results, parts_of=split, now=now))"

KNOWN: Final[Sequence[Fault]] = (
    Fault(
        name="a run takes the key of another one that is alive",
        theme="by email",
        file="bulk/claims.py",
        right="left_at = math.inf if self._is_alive(owner) else now",
        wrong="left_at = -math.inf",
    ),
    Fault(
        name="the claim of a killed run is taken over before its requests have settled",
        theme="by email",
        file="bulk/claims.py",
        right="return left_at + settle",
        wrong="return left_at",
    ),
    Fault(
        name="the claims of lost writes are released when a run ends",
        theme="a queue",
        file="bulk/held_keys.py",
        right="rows = {*self._in_doubt.values()}",
        wrong="rows = set[int]()",
    ),
    Fault(
        name="a record found after a loss counts as written, unread",
        theme="by email",
        file="bulk/machine.py",
        right="return attrs.evolve(decided, changed=tuple(dict.fromkeys((*intent.changed, *decided.changed))))",
        wrong="return decided.result if decided.record_id else decided",
    ),
    Fault(
        name="cards and properties are not claimed",
        theme="with parts",
        file="bulk/records.py",
        right="return [*own, *self.parts.claims(write)]",
        wrong="return own",
    ),
    Fault(
        name="two runs that find one record by different keys write it at once",
        theme="two keys",
        file="bulk/held_keys.py",
        right="return claim in claimed.busy or 0 <",
        wrong="return 0 >",
    ),
    Fault(
        name="a base that another run has overwritten is sent",
        theme="two keys",
        file="bulk/held_keys.py",
        right="or 0 < decided.read_at <= claimed.free_since.get(claim, 0.0)",
        wrong="or False",
    ),
    Fault(
        name="of rows that wait for one record a later one overtakes an earlier one",
        theme="by card",
        file="bulk/held_keys.py",
        right="or first_of.get(record, write.row) < write.row",
        wrong="or False",
    ),
    Fault(
        name="two rows write parts with one key at once",
        theme="by card",
        file="bulk/held_keys.py",
        right="if all(self._taken.get(key, row) == row",
        wrong="if True or all(self._taken.get(key, row) == row",
    ),
    Fault(
        name="a lost batch is sent again whole",
        theme="products by code",
        file="bulk/journal.py",
        right="max(1, size // _PARTS)",
        wrong="size",
    ),
    Fault(
        name="what is equal is left out of a batch that needs its key",
        theme="products by code",
        file="bulk/decide.py",
        right="**_with_paths(changes, keys)}",
        wrong="**changes}",
    ),
    Fault(
        name="a look-up of several pages believes its first one",
        theme="by email",
        file="bulk/pages.py",
        right="    if await _is_all(listing, first):",
        wrong="    if first.items or await _is_all(listing, first):",
    ),
    Fault(
        name="a lost write is sent again before it has settled",
        theme="late writes",
        file="bulk/machine.py",
        right="until = write.lost_at + times.after(write)",
        wrong="until = write.lost_at",
    ),
    Fault(
        name="a create that was sent twice is not looked up once more",
        theme="held writes",
        file="bulk/machine.py",
        right="is_done and (may_act(write) or write.is_doubted)",
        wrong="False",
    ),
    Fault(
        name="a conflict lets go of a key whose request may still act",
        theme="late writes",
        file="bulk/machine.py",
        right="return decided if now >= until else Later",
        wrong="return decided if now >= until or isinstance(decided, RowResult) else Later",
    ),
    Fault(
        name="only a 400 is a row's fault",
        theme="with parts",
        file="bulk/sending.py",
        right="return isinstance(error, ApiError) and not isinstance(error, _NOT_THE_ROW)",
        wrong="return isinstance(error, ApiError) and error.status == 400",
    ),
    Fault(
        name="a request that fails alone is sent for ever",
        theme="by email",
        file="bulk/machine.py",
        right="failures: int = 3",
        wrong="failures: int = 3000",
    ),
    Fault(
        name="a base may be minutes old",
        theme="by email",
        file="bulk/sending.py",
        right="STALE_SECONDS: Final = 10.0",
        wrong="STALE_SECONDS: Final = 1000.0",
    ),
    Fault(
        name="a lost create that no look-up shows is sent again",
        theme="by card",
        file="bulk/records.py",
        right="if is_doubted and isinstance(decision, Plan)",
        wrong="if False and isinstance(decision, Plan)",
    ),
    Fault(
        name="another program's database is taken as a journal",
        theme="by email",
        file="_base/runs/run_file.py",
        right="if self._file.mark != MARK:",
        wrong="if self._file.mark is None:",
    ),
    Fault(
        name="an outbox sends without a look-up",
        theme="tills",
        file="outbox/family.py",
        right="return [(key, found) for found in await self._kind.find(self.caller, key)]",
        wrong="return []",
    ),
    Fault(
        name="of one customer several entries leave together",
        theme="tills",
        file="outbox/queue.py",
        right='_IS_ALONE: Final = f"NOT EXISTS',
        wrong='_IS_ALONE: Final = f"1 OR NOT EXISTS',
    ),
    Fault(
        name="a power cut takes what was committed",
        theme="tills",
        file="_base/runs/run_file.py",
        right='db.execute("PRAGMA synchronous=FULL")',
        wrong='db.execute("PRAGMA synchronous=NORMAL")',
    ),
    Fault(
        name="a new run file is not synced",
        theme="without a key",
        file="_base/runs/run_file.py",
        right="self._file.sync()",
        wrong="pass",
    ),
    Fault(
        name="the name of a published file is not synced",
        theme="changes as files",
        file="_base/runs/publication.py",
        right="    else:\n        sync_folder(path.parent)\n        if is_linked:",
        wrong="    else:\n        if is_linked:",
    ),
    Fault(
        name="an outbox sends what its queue does not know as intended",
        theme="tills",
        file="bulk/journal.py",
        right='self._move(State.INTENDED, "intent = ?, due = NULL, lost_at = NULL", values)',
        wrong='self._update("intent = ?", [(None, number) for _, number in values])',
    ),
    Fault(
        name="two runs have one run file at once",
        theme="changes",
        file="_base/runs/locked_file.py",
        right="if _key(path.lstat()) in _held:",
        wrong="if _key(path.lstat()) in ():",
        covered_by="SQLite refuses a second connection in its exclusive locking mode, from the first statement on",
    ),
    Fault(
        name="a page without records ends the list, whatever its total says",
        theme="restless exports",
        file="_lists/export/reading/sweep.py",
        right="            if self._hollow > _HOLLOW:",
        wrong="            return True\n            if self._hollow > _HOLLOW:",
    ),
    Fault(
        name="rows that may have been created end before their keys are left behind",
        theme="kills after waits",
        file="bulk/engine.py",
        right=f"{_ABANDONED}\n        {_ENDED}",
        wrong=f"{_ENDED}\n        {_ABANDONED}",
    ),
    Fault(
        name="a second page that shows nothing new ends a look-up",
        theme="records go",
        file="bulk/pages.py",
        right="second = await _page(listing, offset=received - overlap)",
        wrong="return not {*(await _page(listing, offset=received)).items} - {*first.items}",
    ),
    Fault(
        name="a record without a time is remembered as it was shown last",
        theme="exports since",
        file="_lists/export/reading/times.py",
        right="self._found.setdefault(key, _digest(line))",
        wrong="self._found[key] = _digest(line)",
    ),
    Fault(
        name="a published file loses its first name before its second one is synced",
        theme="restless exports",
        file="_base/runs/publication.py",
        right="            partial.replace(path)\n    except",
        wrong="            partial.replace(path)\n        else:\n            partial.unlink()\n"
        "            is_linked = False\n    except",
    ),
    Fault(
        name="files are published by hard links alone",
        theme="changes as files",
        file="_base/runs/publication.py",
        right="if error.errno not in _NO_HARD_LINKS:",
        wrong="if error.errno != -1:",
    ),
    Fault(
        name="a file that waits for its name keeps the name that is taken",
        theme="changes as files",
        file="_lists/changes/file.py",
        right="noted = evolve(noted, target=os.path.realpath(self._target.path))",
        wrong="noted = evolve(noted)",
    ),
    Fault(
        name="the state moves without a note of the file",
        theme="changes as files",
        file="_lists/changes/file.py",
        right="self._state.set(PUBLICATION, noted)\n        self._state.commit(taken=True, store=False)",
        wrong="self._state.commit(taken=True, store=False)",
    ),
    Fault(
        name="deletions are reported of a list that was not read exactly",
        theme="changes",
        file="_lists/changes/run.py",
        right="if not read.reasons and since is None:",
        wrong="if since is None:",
    ),
    Fault(
        name="a list that becomes empty while it is read is exact",
        theme="emptied exports",
        file="_lists/export/reading/scan.py",
        right="if reason is None and is_empty and (self._expects_records or not self._reader.is_empty):",
        wrong="if reason is None and is_empty and self._expects_records:",
    ),
    Fault(
        name="the mark of an export moves before its end is reported",
        theme="exports since",
        file="_lists/export/job.py",
        right="        ended = done or await _export(request)\n",
        wrong="        ended = done or await _export(request)\n"
        "        await run_in_thread(lambda: (after := last.following(ended)) and state.store(after))\n",
    ),
    Fault(
        name="an export that was killed before its mark moved is not known again",
        theme="exports since",
        file="_lists/export/storage/export_file.py",
        right="if ended is not None and self._folder.run.continues:",
        wrong="if False:",
    ),
    Fault(
        name="points are not looked up by their reference",
        theme="points in bulk",
        file="resources/actions_in_bulk.py",
        right="return [((customer_id, reference), line) for line in lines if _is_of(line, customer_id)]",
        wrong="return []",
    ),
    Fault(
        name="a bill that is there is taken for another store's",
        theme="bills",
        file="bulk/family.py",
        right='in {"", store}]',
        wrong='in {""}]',
    ),
    Fault(
        name="the members of a segment are not read after the calls",
        theme="segments",
        file="bulk/segment_sync.py",
        right="after, exact = await self._read_members()",
        wrong="after, exact = {*missing}, True",
    ),
    Fault(
        name="a mirror removes most members of a segment",
        theme="segments",
        file="bulk/segment_sync.py",
        right="removed * 2 > before",
        wrong="not before",
    ),
    Fault(
        name="a resumed run lets a later row write the part of a lost request",
        theme="late parts",
        file="bulk/engine.py",
        right="await self._held.claim([write for write in lost if write.kind != RECORD])",
        wrong="await self._held.claim([])",
    ),
    Fault(
        name="a request is repeated with a new token, however old what it was made from is",
        theme="slow logins",
        file="_calls/call/call.py",
        right="if self.latest < math.inf and self.context.clock.monotonic() > self.latest:",
        wrong="if self.context.clock.monotonic() < 0:",
    ),
    Fault(
        name="an id that is sent as a number names another record",
        theme="exports",
        file="_lists/export/reading/pages.py",
        right="if key is None else str(key)",
        wrong="if key is None else key",
    ),
    Fault(
        name="no reading is exact",
        theme="exports",
        file="_lists/export/reading/scan.py",
        right="records=self._writer.seen.written)",
        wrong="records=self._writer.seen.written, reasons=(InexactReason.GAP,))",
    ),
    Fault(
        name="no reading of a list that changes is exact",
        theme="restless exports",
        file="_lists/export/reading/scan.py",
        right="records=self._writer.seen.written)",
        wrong="records=self._writer.seen.written, "
        "reasons=self._report.reasons or (InexactReason.GAP,) * self._report.list_changed)",
    ),
    Fault(
        name="every reading is exact",
        theme="restless exports",
        file="_lists/export/reading/scan.py",
        right="records=self._writer.seen.written)",
        wrong="records=self._writer.seen.written, reasons=())",
    ),
    Fault(
        name="changes are exact though pages lack what the total counts",
        theme="lagging exports",
        file="_lists/export/reading/changed.py",
        right="if not await self._is_whole(ends[0]):",
        wrong="if False:",
    ),
)
