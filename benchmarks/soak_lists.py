"""The long jobs of `benchmarks.soak`: an export, a bulk write, and the changes of a list, each checked when it ends."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

from benchmarks.soak_jobs import SOURCE, Parts, person
from benchmarks.soak_server import ask
from carecloud_async import CareCloudError

__all__ = ["Lists"]

#: How often a job is resumed before it is given up.
TRIES = 20
NEW_ROWS, CHANGED_ROWS = 40, 10
SUFFIXES = (".jsonl", ".csv", ".jsonl.gz")


class Lists:
    """Exports, bulk writes and changes of one service.

    Args:
        parts: what the jobs share.
        folder: where files are written.
    """

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts = parts
        self._folder = folder
        self._number = 0
        self._mirror: set[str] = set()
        self._known: list[str] = []
        self._unfinished: dict[Path, set[str]] = {}

    async def export(self) -> None:
        """Export all customers; what was there all the time is in the file once."""
        parts = self._parts
        self._number += 1
        target = self._folder / f"export{SUFFIXES[self._number % len(SUFFIXES)]}"
        # The next export to a file resumes one that was given up, and holds what was there since that one began.
        before = self._unfinished.pop(target, None) or set((await ask(parts.control, "ids"))["live"])
        for _ in range(TRIES):
            try:
                listing = parts.client.customers.list(count=500)
                report = await listing.export(target, resume=True, overwrite=True, concurrency=4)
                break
            except CareCloudError as error:
                parts.ledger.failed("export", error)
        else:
            self._unfinished[target] = before
            return
        after = await ask(parts.control, "ids")
        exported = _ids(target)
        if len(exported) != len(set(exported)):
            parts.ledger.write("doubled", text=f"an export holds {len(exported) - len(set(exported))} customers twice")
        if not report.exact:
            parts.ledger.counts["exports not exact"] += 1
        elif missing := (before & set(after["live"])) - set(exported):
            parts.ledger.write("lost", text=f"an export lacks {len(missing)} customers")
        if set(exported) - set(after["live"]) - set(after["deleted"]):
            parts.ledger.wrong("an export holds customers that never were")
        parts.ledger.counts["exports"] += 1
        parts.ledger.counts["exported records"] += len(exported)

    async def changes(self) -> None:
        """Follow the changes of the list; the mirror that they make is what the server holds."""
        parts = self._parts
        before = await ask(parts.control, "ids")
        mirror = set(self._mirror)
        wrong: list[str] = []
        listing = parts.client.customers.list(count=500)
        async with listing.changes(state=self._folder / "customers.state", concurrency=4) as changes:
            async for change in changes:
                parts.ledger.counts[f"changes {change.kind}"] += 1
                if (change.id in mirror) is (change.kind == "created"):
                    wrong.append(f"a change says {change.kind} of a customer that was reported before")
                (mirror.discard if change.kind == "deleted" else mirror.add)(change.id)
        self._mirror = mirror
        after = await ask(parts.control, "ids")
        for text in wrong:
            parts.ledger.wrong(text)
        if missing := (set(before["live"]) & set(after["live"])) - mirror:
            parts.ledger.write("lost", text=f"changes lack {len(missing)} customers")
        if changes.report.exact and (stale := mirror & set(before["deleted"])):
            parts.ledger.write("lost", text=f"changes lack the deletion of {len(stale)} customers")
        parts.ledger.counts["runs of changes"] += 1

    async def bulk_write(self) -> None:
        """Write rows in bulk until the run ends; each row has the outcome that it should have."""
        parts = self._parts
        self._number += 1
        run, version = self._number, f"bulk-{self._number}"
        new = [f"{parts.name}-{run}-row-{number}@example.com" for number in range(NEW_ROWS)]
        changed = parts.random.sample(self._known, min(CHANGED_ROWS, len(self._known)))
        rows = [person(email, version) for email in (*new, *changed)]
        rows += [person("", version), person(new[0], version)]
        results, journal = self._folder / "results.jsonl", self._folder / f"bulk-{run}.journal"
        for _ in range(TRIES):
            try:
                report = await parts.client.customers.bulk_write(
                    rows,
                    match="email",
                    defaults={"customer_source_id": SOURCE.customer_source_id},
                    results=results,
                    journal=journal,
                    resume=True,
                    concurrency=6,
                )
                break
            except CareCloudError as error:
                parts.ledger.failed("bulk_write", error)
        else:
            self._note_unfinished(new)
            return
        outcomes = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        if report.rows != len(rows) or len(outcomes) != len(rows):
            parts.ledger.wrong(f"a bulk write of {len(rows)} rows has {len(outcomes)} outcomes")
        for row, expected in zip(outcomes, self._expected(new, changed), strict=False):
            self._judge(row, expected, version)
        parts.ledger.counts["bulk writes"] += 1
        self._known = [*self._known, *new][-500:]

    def _expected(self, new: list[str], changed: list[str]) -> list[str]:
        return ["created"] * len(new) + ["updated"] * len(changed) + ["refused", "refused"]

    def _judge(self, row: dict[str, Any], expected: str, version: str) -> None:
        ledger, outcome = self._parts.ledger, row["outcome"]
        ledger.counts[f"bulk rows {outcome}"] += 1
        if outcome != expected:
            ledger.wrong(f"a bulk row that should be {expected} is {outcome}: {row['reasons']}")
        if expected == "created":
            ledger.write("create", key=row["email"], outcome="done", id=row["record_id"])
        elif expected == "updated":
            ledger.write("update", id=row["record_id"], version=version, outcome="done")

    def _note_unfinished(self, new: list[str]) -> None:
        self._parts.ledger.counts["bulk writes given up"] += 1
        for email in new:
            self._parts.ledger.write("create", key=email, outcome="unknown")


def _ids(path: Path) -> list[str]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    if path.suffix == ".csv":
        return [row["customer_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    return [json.loads(line)["customer_id"] for line in text.split("\n") if line]
