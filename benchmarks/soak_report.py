"""The account of a soak, as text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from benchmarks.soak_ledger import Findings
from benchmarks.soak_measure import Growth, growth

__all__ = ["Account", "text"]

#: Findings of one kind that are printed.
SHOWN = 20
#: What may stay open after the clients were closed, by figure: modules and caches are loaded while they work.
LEFT = {"sockets": 0, "files": 1, "tasks": 0, "threads": 0}


@frozen(kw_only=True)
class Account:
    """What a run came to.

    Attributes:
        seconds: how long it took.
        seed: its seed.
        where: the machine and the versions.
        findings: what the comparison of ledgers and server found.
        server: what the server held and counted.
        troubles: the names of the troubles that came.
        samples: for each service what it held before it began, at the quiet points, and after its clients were closed.
    """

    seconds: float
    seed: int
    where: str
    findings: Findings
    server: Mapping[str, Any]
    troubles: Sequence[str]
    samples: Sequence[Mapping[str, Any]]

    @property
    def leaks(self) -> list[str]:
        """What was held more and more, or after the end."""
        leaks = []
        for number, service in enumerate(self.samples):
            leaks += [f"service {number}: {what.name}" for what in growth(service["samples"]) if what.leaks]
            leaks += [
                f"service {number}: {service['after'][name] - service['before'][name]} {name} left after closing"
                for name, most in LEFT.items()
                if service["after"][name] - service["before"][name] > most
            ]
        return leaks

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled, wrongly reported or leaked."""
        findings = self.findings
        return not (findings.lost or findings.doubled or findings.wrong or self.leaks)


def text(account: Account) -> str:
    """Return the account as it is printed."""
    return "\n".join(_lines(account))


def _lines(account: Account) -> Iterator[str]:
    server, findings = account.server, account.findings
    yield f"soak of {account.seconds / 3600:.2f} hours, seed {account.seed}; {account.where}"
    yield f"server: {server['requests']:,} requests, {server['logins']:,} logins, {server['opened']:,} connections"
    yield f"answers: {_counts(server['statuses'])}"
    yield f"troubles: {_counts(Counter(account.troubles))}"
    yield "done:"
    yield from (f"  {number:>9,}  {name}" for name, number in sorted(findings.counts.items()))
    yield from _growths(account.samples)
    for name, what in (
        ("lost", findings.lost),
        ("doubled", findings.doubled),
        ("wrongly reported", findings.wrong),
        ("leaked", account.leaks),
    ):
        yield f"{name}: {len(what)}"
        yield from (f"  {text}" for text in what[:SHOWN])


def _growths(samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'held at quiet points (medians)':34}{'second part':>12}{'last part':>12}{'closed':>12}"
    for number, service in enumerate(samples):
        for what in growth(service["samples"]):
            after = service["after"][what.name]
            figures = "".join(f"{figure:>12,.4g}" for figure in (what.first, what.last, after))
            yield f"  service {number}, {what.name:22}{figures}{_mark(what)}"


def _mark(what: Growth) -> str:
    return {True: "  GROWS", False: "", None: "  (too short to say)"}[what.leaks]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
