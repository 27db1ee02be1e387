"""How often the reports of a theme are exact: a reader that never says so keeps every other promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

__all__ = ["LEAST", "broken_shares", "told_shares"]

#: The least share of exact reports by theme, where something goes wrong: a tenth less than 600 seeds showed.
LEAST: Final[Mapping[str, float]] = {
    "exports": 0.81,
    "exports since": 0.8,
    "restless exports": 0.55,
    "emptied exports": 0.62,
    "lagging exports": 0.53,
    "changes": 0.82,
    "changes as files": 0.82,
}
#: So few reports tell nothing of their share.
_FEW: Final = 100


def told_shares(reports: Counter[tuple[str, bool]]) -> str:
    """Return the share of exact reports of each theme, and their number."""
    themes = sorted({theme for theme, _ in reports})
    return ", ".join(f"{theme} {_share(theme, reports):.2f} of {_all(theme, reports)}" for theme in themes)


def broken_shares(reports: Counter[tuple[str, bool]]) -> list[str]:
    """Return the themes whose reports are exact too rarely.

    Args:
        reports: the number of reports, by their theme, and whether they are exact.
    """
    return [
        f"{theme}: {_share(theme, reports):.2f} of {_all(theme, reports)} reports are exact, less than {least}"
        for theme, least in LEAST.items()
        if _all(theme, reports) >= _FEW and _share(theme, reports) < least
    ]


def _all(theme: str, reports: Counter[tuple[str, bool]]) -> int:
    return reports[theme, True] + reports[theme, False]


def _share(theme: str, reports: Counter[tuple[str, bool]]) -> float:
    return reports[theme, True] / _all(theme, reports)
