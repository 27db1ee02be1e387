"""The ledger of `benchmarks.soak`: the writes of a service and their results, compared with the server's records."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import define, field

from carecloud_async import CareCloudError

__all__ = ["Findings", "Ledger", "compare", "entries"]

Outcome = Literal["done", "unknown", "failed"]


class Ledger:
    """One file, a line an entry, written at once: a service that is killed leaves what it did.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self.counts: Counter[str] = Counter()

    def write(self, what: str, **entry: Any) -> None:
        """Add an entry."""
        self._file.write(json.dumps({"what": what, **entry}) + "\n")

    def wrong(self, text: str) -> None:
        """Note that the SDK said something that is not so."""
        self.write("wrong", text=text)

    def failed(self, job: str, error: CareCloudError) -> None:
        """Count a failure that troubles explain."""
        self.counts[f"{job}: {type(error).__name__}"] += 1

    def close(self) -> None:
        """Write the counts and end."""
        self.write("counts", counts=self.counts)
        self._file.close()


def entries(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Read the entries of several ledgers; a last line that was cut off is passed over."""
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


@define
class Findings:
    """What the comparison found, in words.

    Attributes:
        lost: writes that were reported done and are not there.
        doubled: records that are there twice.
        wrong: what was reported otherwise than it is.
        counts: numbers of what was done, by name.
    """

    lost: list[str] = field(factory=list)
    doubled: list[str] = field(factory=list)
    wrong: list[str] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)


def compare(ledger: Iterable[Mapping[str, Any]], server: Mapping[str, Any]) -> Findings:
    """Compare the results that the services got with the records that the server holds.

    Args:
        ledger: the entries of all services.
        server: the reply to the order `dump`.
    """
    findings = Findings()
    emails = Counter(email for _, email, _ in server["customers"] if email)
    by_email = {email: (customer_id, name) for customer_id, email, name in server["customers"] if email}
    names = {customer_id: name for customer_id, _, name in server["customers"]}
    updates: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in ledger:
        match entry["what"]:
            case "lost" | "doubled" | "wrong" as kind:
                getattr(findings, kind).append(entry["text"])
            case "counts":
                findings.counts.update(entry["counts"])
            case "create":
                _judge_create(entry, emails[entry["key"]], findings, by_email.get(entry["key"], ("", ""))[0])
            case "comment":
                _judge_create(entry, server["comments"].get(entry["key"], 0), findings, None)
            case "update":
                updates[entry["id"]].append(entry)
    for customer_id, versions in updates.items():
        _judge_updates(customer_id, versions, names.get(customer_id), findings)
    findings.wrong += [f"rule of the API broken: {text}" for text in server["violations"]]
    return findings


def _judge_create(entry: Mapping[str, Any], there: int, findings: Findings, holder: str | None) -> None:
    what, key, outcome = entry["what"], entry["key"], entry["outcome"]
    findings.counts[f"{what} {outcome}"] += 1
    if there > 1:
        findings.doubled.append(f"{what} {key} ({outcome}) is there {there} times")
    elif outcome == "done" and not there:
        findings.lost.append(f"{what} {key} was reported done and is not there")
    elif outcome == "failed" and there:
        findings.wrong.append(f"{what} {key} was reported failed ({entry.get('error')}) and is there")
    elif outcome == "done" and holder is not None and holder != entry["id"]:
        findings.wrong.append(f"{what} {key} was reported with another id than it has")


def _judge_updates(customer_id: str, versions: list[Mapping[str, Any]], name: str | None, findings: Findings) -> None:
    findings.counts.update(f"update {update['outcome']}" for update in versions)
    done = [index for index, update in enumerate(versions) if update["outcome"] == "done"]
    last = done[-1] if done else -1
    allowed = {update["version"] for update in versions[last + 1 :] if update["outcome"] == "unknown"}
    if last >= 0:
        allowed.add(versions[last]["version"])
    if name in allowed or (not done and name not in {update["version"] for update in versions}):
        return
    if name in {update["version"] for update in versions[last + 1 :]}:
        findings.wrong.append(f"an update of {customer_id} was reported failed and is there: {name}")
    else:
        findings.lost.append(f"the update of {customer_id} to {versions[last]['version']} is gone: it holds {name}")
