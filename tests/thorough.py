"""How many examples, seeds and interleavings a test tries."""

from __future__ import annotations

from hypothesis import settings


def examples(most: int) -> int:
    """Return `most` with `--thorough`, and a tenth of it otherwise, but at least two.

    For properties with expensive examples, and for loops over seeds; other properties take the number of the profile.
    """
    return most if settings.get_current_profile_name() == "thorough" else max(2, most // 10)
