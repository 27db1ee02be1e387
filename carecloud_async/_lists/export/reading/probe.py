"""`Probe`: the offset of the next page to try; it steps back in growing steps until a page fits."""

from __future__ import annotations

from attrs import define, field

from carecloud_async._lists.export.reading.pages import Identity, RawPage

__all__ = ["EndProbe", "Probe"]


@define
class Probe:
    """An offset, and the length of the next step back.

    Attributes:
        at: the offset.
        back: the length of the next step in pages: 1 at first, doubled by each step.
    """

    at: int
    back: int = 1

    def move_to(self, at: int) -> None:
        """Move to another offset; the next step back is one page again."""
        self.at, self.back = at, 1

    def step_back(self, count: int) -> None:
        """Step back.

        Args:
            count: the records of a page.
        """
        self.at, self.back = max(self.at - count * self.back, 0), self.back * 2


@define
class EndProbe(Probe):
    """A probe for the end of a list.

    Attributes:
        repeats: the pages in a row that held the same records as the one before.
    """

    repeats: int = 0
    _shown: list[Identity] = field(factory=list, init=False)

    def observe(self, page: RawPage) -> None:
        """Take the page that was found at this offset into account."""
        self.repeats = self.repeats + 1 if page.ids and page.ids == self._shown else 0
        self._shown = page.ids
