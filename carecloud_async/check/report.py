"""What a check found: findings, and the report that they make. Nothing in it comes from a record."""

from __future__ import annotations

import json
import platform
from enum import StrEnum
from typing import Any

import attrs
from attrs import frozen

from carecloud_async._version import __version__

__all__ = ["CheckFinding", "CheckStatus", "ProjectCheck"]


class CheckStatus(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    NOT_KNOWN = "not known"
    WARNING = "warning"
    PROBLEM = "problem"


@frozen(kw_only=True)
class CheckFinding:
    """One assumption, and whether it holds.

    Attributes:
        name: what was looked at, such as `page_cap`.
        status: `ok`, `warning` (works, with a cost or a doubt), `problem` (results would be wrong or missing) or
            `not known` (nothing that came back shows whether the assumption holds).
        seen: what was seen. It names fields and families of the API, never an id, a name or a value of a record.
        meaning: what follows for exports, bulk writes and tokens.
        fix: what to do; empty if nothing.
    """

    name: str
    status: CheckStatus
    seen: str
    meaning: str
    fix: str = ""

    def __str__(self) -> str:
        parts = [f"{self.status:<9} {self.name}: {self.seen}."]
        if self.status is not CheckStatus.OK:
            more = (("Means", self.meaning), ("Fix", self.fix))
            parts += [f"          {label}: {text}." for label, text in more if text]
        return "\n".join(parts)


@frozen(kw_only=True)
class ProjectCheck:
    """The result of `client.check()`.

    It holds nothing of any record, no address and no credentials: it can be attached to an issue.

    Attributes:
        findings: what was looked at, in order.
        requests: the number of requests that were sent, logins and repeats included.
        seconds: how long it took.
    """

    findings: tuple[CheckFinding, ...]
    requests: int
    seconds: float

    @property
    def problems(self) -> tuple[CheckFinding, ...]:
        """The findings that are problems."""
        return self._of(CheckStatus.PROBLEM)

    @property
    def warnings(self) -> tuple[CheckFinding, ...]:
        """The findings that are warnings."""
        return self._of(CheckStatus.WARNING)

    @property
    def not_known(self) -> tuple[CheckFinding, ...]:
        """The findings on what could not be seen."""
        return self._of(CheckStatus.NOT_KNOWN)

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings, and what is not known, do not count."""
        return not self.problems

    def named(self, name: str) -> tuple[CheckFinding, ...]:
        """Return the findings of one name."""
        return tuple(finding for finding in self.findings if finding.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "carecloud_async": __version__,
            "python": platform.python_version(),
            "ok": self.ok,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "findings": [{**attrs.asdict(finding), "status": finding.status.value} for finding in self.findings],
        }

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        counts = (
            _counted(len(self.problems), "problem"),
            _counted(len(self.warnings), "warning"),
            f"{len(self.not_known)} not known",
            f"{len(self._of(CheckStatus.OK))} ok",
        )
        last = f"{', '.join(counts)} ({_counted(self.requests, 'request')}, {self.seconds:.1f} s)"
        return "\n".join([*map(str, self.findings), last])

    def _of(self, status: CheckStatus) -> tuple[CheckFinding, ...]:
        return tuple(finding for finding in self.findings if finding.status is status)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
