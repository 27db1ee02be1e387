"""Faults on order: which request is to go wrong, how, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from threading import Lock
from typing import Final, Literal, TypeAlias

import attrs

Cut: TypeAlias = Literal[False, True, "before", "after", "half"]
"""How a connection dies: before the work is done, after it without an answer, or in the middle of the answer."""

_CUTS: Final = (False, True, "before", "after", "half")


@attrs.frozen(kw_only=True)
class Fault:
    """A way in which a request goes wrong.

    Attributes:
        status: Answer with this status instead of doing the work; `None` does the work.
        retry_after: Value of `Retry-After`: seconds, or any text as it stands.
        delay: Seconds before anything else happens.
        cut: How the connection dies, if it does.
        worked: With a status: whether the work is done all the same and only the answer is lost.
        late: Seconds after which the work is done, though the answer has left; 0 does it before, or not at all.
        garbage: Whether the body of the answer is broken JSON.
        html: Whether the body is a page of HTML, as proxies send.
        no_data: Whether the body is JSON without `data`.
        body: The body of the answer, as it stands.
        headers: Further headers of the answer.
    """

    status: int | None = None
    retry_after: float | str | None = None
    delay: float = 0.0
    cut: Cut = False
    worked: bool = False
    late: float = 0.0
    garbage: bool = False
    html: bool = False
    no_data: bool = False
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def instead_of_work(self) -> bool:
        """Whether the request is never worked on."""
        if self.cut in (True, "before"):
            return True
        return self.status is not None and not self.worked


class ArmedFault:
    """A fault that waits for its requests.

    Attributes:
        fault: How they go wrong.
        pattern: For which requests.
        seen: Number of those that came.
        hits: Number of those it applied to.
    """

    def __init__(self, fault: Fault, *, pattern: str, times: int | None, after: int) -> None:
        self.fault = fault
        self.pattern = pattern
        self.seen: int = 0
        self.hits = 0
        self._times = times
        self._after = after

    def ready(self, name: str) -> bool:
        """Count a request, and return whether this fault applies to it."""
        if not matches(self.pattern, name):
            return False
        self.seen += 1
        return self.seen > self._after and (self._times is None or self.hits < self._times)


class Faults:
    """The faults that a test has ordered; the first one that is ready applies, one a request."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._lock = Lock()

    def add(
        self,
        pattern: str,
        *,
        times: int | None = 1,
        after: int = 0,
        status: int | None = None,
        retry_after: float | str | None = None,
        delay: float = 0.0,
        cut: Cut = False,
        worked: bool = False,
        late: float = 0.0,
        garbage: bool = False,
        html: bool = False,
        no_data: bool = False,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ArmedFault:
        """Order a fault.

        Args:
            pattern: Verb and path template, such as `GET /customers` or `* /customers/{customer_id}`; `*` stands for
                anything.
            times: Number of requests it applies to; `None` is all of them until it is removed.
            after: Number of matching requests it lets pass first.
            status: Answer with this status instead of doing the work.
            retry_after: Value of `Retry-After`, in seconds or as any text.
            delay: Seconds before anything else happens.
            cut: `True`: the connection dies and nothing was done; `"after"`: the work was done, but no answer comes;
                `"half"`: the work was done, and half of the answer's body comes.
            worked: With `status`: the work is done all the same.
            late: With `status` or `cut=True`: the work is done this many seconds later, before the next request that
                comes then.
            garbage: The body is broken JSON.
            html: The body is a page of HTML.
            no_data: The body is JSON without `data`.
            body: The body, as it stands.
            headers: Further headers of the answer.

        Returns:
            The fault, whose `hits` a test may look at.
        """
        if cut not in _CUTS:
            raise ValueError(f"cut is one of {_CUTS}")
        fault = Fault(
            status=status,
            retry_after=retry_after,
            delay=delay,
            cut=cut,
            worked=worked,
            late=late,
            garbage=garbage,
            html=html,
            no_data=no_data,
            body=body.encode() if isinstance(body, str) else body,
            headers=tuple((headers or {}).items()),
        )
        armed = ArmedFault(fault, pattern=pattern, times=times, after=after)
        with self._lock:
            self._armed.append(armed)
        return armed

    def remove(self, fault: ArmedFault) -> None:
        """Call a fault off."""
        with self._lock:
            self._armed = [armed for armed in self._armed if armed is not fault]

    def clear(self) -> None:
        """Call all faults off."""
        with self._lock:
            self._armed = []

    def take(self, name: str) -> Fault | None:
        """Return the fault of this request, if it has one, and count it; each call is one request.

        Args:
            name: Verb and path template.
        """
        with self._lock:
            ready = [armed for armed in self._armed if armed.ready(name)]
            if not ready:
                return None
            ready[0].hits += 1
            return ready[0].fault


def matches(pattern: str, name: str) -> bool:
    """Return whether a pattern means this operation.

    Args:
        pattern: Verb and path template, with `*` for anything.
        name: Verb and path template.
    """
    # Brackets have a meaning to fnmatch, and none here.
    return pattern == name or fnmatchcase(name, pattern.replace("[", "[[]"))
