"""One warning per model field and process for values that could not be read exactly."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["FieldWarning", "note_broken_text"]

_logger = logging.getLogger("carecloud_async.codec")
_reported: set[tuple[str, str]] = set()


def note_broken_text() -> None:
    """Log that text of an answer was not Unicode, once per process; never the text."""
    FieldWarning("answers", "text").note("bytes that are not UTF-8, or half a character, are read as U+FFFD")


class FieldWarning:
    """The field of a value; it counts as reported after its first problem.

    Args:
        model: the name of the model class.
        field: the name of the field.
    """

    __slots__ = ("_key",)

    def __init__(self, model: str, field: str) -> None:
        self._key = (model, field)

    def note(self, problem: str) -> None:
        """Log the kind of problem, once per field and process; never the value.

        Args:
            problem: the misfit and how it was read, in a few words.
        """
        if self._key not in _reported:
            _reported.add(self._key)
            _logger.warning("%s.%s: %s (reported once)", *self._key, problem)

    def lost(self, problem: str) -> Any:
        """Note that the value could not be read; return `None`, which replaces it."""
        if self._key not in _reported:
            self.note(f"{problem}, read as None")
        return None
