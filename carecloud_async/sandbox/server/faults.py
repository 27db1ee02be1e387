"""Faults: which request fails, how, and how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from threading import Lock
from typing import Literal, TypeAlias, TypedDict, Unpack

import attrs

from carecloud_async.sandbox.state.facts import api_facts

#: When the connection is cut: before the work (`True`, `"before"`), after it, or in the middle of the answer.
Cut: TypeAlias = Literal[False, True, "before", "after", "half"]


class FaultOptions(TypedDict, total=False):
    """What a fault does; see `Faults.add`."""

    times: int | None
    after: int
    status: int | None
    retry_after: float | str | None
    delay: float
    cut: Cut
    worked: bool
    late: float
    garbage: bool
    html: bool
    body: bytes | str | None
    headers: Mapping[str, str]


@attrs.frozen(kw_only=True, eq=False)
class ArmedFault:
    """A fault that was added to a sandbox; its fields are the arguments of `Faults.add`.

    Attributes:
        uses: number of requests that matched (`seen`), and of those that failed (`hits`).
    """

    pattern: str
    times: int | None = 1
    after: int = 0
    status: int | None = None
    retry_after: float | str | None = None
    delay: float = 0.0
    cut: Cut = attrs.field(default=False, validator=attrs.validators.in_((False, True, "before", "after", "half")))
    worked: bool = False
    late: float = 0.0
    garbage: bool = False
    html: bool = False
    body: bytes | str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    uses: Counter[str] = attrs.field(factory=Counter, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        texts = (self.body is not None, self.retry_after is not None)
        if not any((self.status, self.delay, self.cut, self.garbage, self.html, self.headers, self.late, *texts)):
            raise ValueError("this fault does nothing: give it status, delay, cut, garbage, html, body or headers")
        if self.late and not self.instead_of_work:
            raise ValueError("late needs a status or cut=True, without worked: otherwise the work would be done twice")

    @property
    def seen(self) -> int:
        """Number of requests that matched."""
        return self.uses["seen"]

    @property
    def hits(self) -> int:
        """Number of requests that failed."""
        return self.uses["hits"]

    @property
    def instead_of_work(self) -> bool:
        """Whether the request is never worked on."""
        return self.cut in (True, "before") or (self.status is not None and not self.worked)

    def ready(self, name: str) -> bool:
        """Count a request, and return whether it fails."""
        if not matches(self.pattern, name):
            return False
        self.uses["seen"] += 1
        return self.seen > self.after and (self.times is None or self.hits < self.times)


class Faults:
    """The faults of a sandbox. A request gets one at most: the first that was added and is ready."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._lock = Lock()

    def add(self, pattern: str, **options: Unpack[FaultOptions]) -> ArmedFault:
        """Add a fault: which requests fail, how often, and how.

        ```python
        sandbox.faults.add("GET /customers", status=429, retry_after=1, times=2, after=3)
        ```

        Args:
            pattern: method and path template, such as `GET /customers` or `* /customers/{customer_id}`; `*` matches
                anything.
            **options: what the fault does:

                - `times`: number of requests that fail, 1 by default; `None`: all, until the fault is removed.
                - `after`: number of matching requests that pass first.
                - `status`: answer with this status, and do not do the work.
                - `worked`: with `status`: do the work, and answer with that status.
                - `retry_after`: value of `Retry-After`: seconds, or any text.
                - `delay`: real seconds to wait before anything else happens.
                - `cut`: cut the connection. `True` or `"before"`: nothing was done; `"after"`: the work was done, and
                  no answer is sent; `"half"`: the work was done, and half of the answer's body is sent.
                - `late`: with `status` or `cut=True`: do the work this many seconds later, before the next request that
                  comes after that time.
                - `garbage`: the body is broken JSON.
                - `html`: the body is an HTML page, as proxies send.
                - `body`: the body of the answer.
                - `headers`: further headers of the answer.

        Returns:
            The fault; its `hits` is the number of requests that failed.

        Raises:
            ValueError: the pattern matches no operation of the API (the message names the nearest one), `cut` is not
                one of its values, the options do nothing, or `late` is given for a request whose work is done at once.
        """
        _check_pattern(pattern)
        fault = ArmedFault(pattern=pattern, **options)
        self._armed.append(fault)
        return fault

    def remove(self, fault: ArmedFault) -> None:
        """Remove a fault."""
        self._armed = [armed for armed in self._armed if armed is not fault]

    def clear(self) -> None:
        """Remove all faults."""
        self._armed = []

    @property
    def unused(self) -> tuple[ArmedFault, ...]:
        """The faults that no request got, in the order in which they were added."""
        return tuple(armed for armed in self._armed if not armed.hits)

    def assert_used(self) -> None:
        """Check that each fault was used at least once.

        Raises:
            AssertionError: one was not; the message names its pattern and says how many requests matched.
        """
        unused = [f"{armed.pattern} ({armed.seen} requests matched)" for armed in self.unused]
        if unused:
            raise AssertionError(f"faults that no request got: {', '.join(unused)}")

    def take(self, name: str) -> ArmedFault | None:
        """Return the fault of a request, if it has one, and count the request.

        Args:
            name: method and path template.
        """
        with self._lock:
            ready = [armed for armed in self._armed if armed.ready(name)]
            if not ready:
                return None
            ready[0].uses["hits"] += 1
            return ready[0]


def matches(pattern: str, name: str) -> bool:
    """Return whether a pattern matches an operation.

    Args:
        pattern: method and path template, with `*` for anything.
        name: method and path template.
    """
    # Brackets have a meaning to fnmatch, and none here.
    return pattern == name or fnmatchcase(name, pattern.replace("[", "[[]"))


@cache
def _check_pattern(pattern: str) -> None:
    names = [operation.name for operation in api_facts().operations]
    if not any(matches(pattern, name) for name in names):
        raise ValueError(f"no operation of the API matches {pattern!r}: did you mean {_nearest(pattern, names)!r}?")


def _nearest(pattern: str, names: list[str]) -> str:
    import difflib  # only needed for errors

    method, _, path = pattern.partition(" ") if " " in pattern else ("*", "", pattern)
    written = f"{method.upper()} /{path.strip('/')}"
    for name in names:  # a path with an id in place of its name
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(name)), written):
            return name
    return difflib.get_close_matches(written, names, n=1, cutoff=0.0)[0]
