"""What happened in a simulation, as lines that a person can read."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

__all__ = ["Event", "Story"]


@frozen(kw_only=True)
class Event:
    """One line of a story.

    Attributes:
        at: the virtual time, in seconds.
        who: the process, `server`, or another program.
        what: what it did.
        about: the keys and ids that it is about.
    """

    at: float
    who: str
    what: str
    about: frozenset[str] = field(factory=frozenset)

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.who:<14} {self.what}"


class Story:
    """The events of a simulation.

    Args:
        now: returns the virtual time.
        folder: the folder of all disks, whose name is another one in each run; it is left out.

    Attributes:
        events: the events, in their order.
    """

    def __init__(self, now: Callable[[], float], *, folder: str) -> None:
        self._now = now
        self._folder = folder
        self.events: list[Event] = []

    def tell(self, who: str, what: str, *about: str) -> None:
        """Add an event."""
        self.events.append(Event(at=self._now(), who=who, what=what.replace(self._folder, ""), about=frozenset(about)))

    def page(self, about: frozenset[str], *, lines: int = 70) -> str:
        """Return the events that are about some keys, with the beginnings and ends of processes, on one page."""
        chosen = [one for one in self.events if not one.about or one.about & about]
        if len(chosen) > lines:
            closest = [one for one in chosen if one.about]
            room = max(lines - len(closest), 0)
            others = [one for one in chosen if not one.about]
            kept = {id(one) for one in (*closest, *(others[-room:] if room else ()))}
            chosen = [one for one in chosen if id(one) in kept]
            if len(chosen) > lines:
                left_out = len(chosen) - lines
                half = lines // 2
                middle = Event(at=chosen[half].at, who="…", what=f"({left_out} lines are left out)")
                chosen = [*chosen[:half], middle, *chosen[-half:]]
        return "\n".join(map(str, chosen))
