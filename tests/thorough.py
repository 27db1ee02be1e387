"""How many cases, examples, seeds and interleavings a test tries."""

from __future__ import annotations

import pytest
from hypothesis import settings


def is_thorough() -> bool:
    """Return whether the tests run with `--thorough`."""
    return settings.get_current_profile_name() == "thorough"


def variants(*cases):
    """Return cases for `parametrize` that are variants of others, and are tried with `--thorough` only.

    A case that is a tuple has a value for each of the test's arguments.
    """
    return [pytest.param(*(case if type(case) is tuple else (case,)), marks=pytest.mark.thorough) for case in cases]


def examples(most: int) -> int:
    """Return `most` with `--thorough`, and a tenth of it otherwise, but at least two.

    For properties with expensive examples, and for loops over seeds; other properties take the number of the profile.
    """
    return most if is_thorough() else max(2, most // 10)
