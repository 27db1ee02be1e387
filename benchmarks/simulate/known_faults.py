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
        file: the file, from the package's folder.
        right, wrong: a text that stands in it once, and what stands in its place.
    """

    name: str
    file: str
    right: str
    wrong: str

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


KNOWN: Final[Sequence[Fault]] = ()
