"""The waits between attempts."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from carecloud_async._calls.auth.stores.base import backoff_delays


@given(st.floats(0, 1, exclude_max=True))
def test_bounded(number):
    """Waits begin small, grow, never reach zero and never exceed the longest."""
    waits = list(itertools.islice(backoff_delays(first=0.001, longest=0.05, jitter=lambda: number), 20))
    assert all(0 < wait <= 0.05 for wait in waits)
    assert waits == sorted(waits)
    assert waits[-1] >= 0.025
