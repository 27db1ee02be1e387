"""The known name nearest to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, similarity: float = 0.6) -> str | None:
    """Return the known name that was probably meant, or `None` if none is close.

    Args:
        name: the name as it was written.
        known: the names that exist.
        similarity: what counts as close, from 0 to 1 (the same name); see `difflib.SequenceMatcher.ratio`.
    """
    import difflib  # only needed for errors

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=similarity)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error's sentence, such as `: did you mean first_name?`; empty if no known name is close."""
    close = nearest(name, known)
    return f": did you mean {close}?" if close else ""
