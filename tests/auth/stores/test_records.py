"""The arithmetic of lives that outlast processes and boots."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import StoredToken, Token
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.auth.stores.records import ClockReading, from_record, seconds_between, to_record

walls = st.floats(-1e10, 1e10)
uptimes = st.floats(0, 1e8)


@given(walls, walls, uptimes, st.floats(0, 1e8))
def test_same_boot(wall, later_wall, uptime, passed):
    """Within one boot the wall clock does not matter, wrong by years or jumping either way."""
    earlier = ClockReading(wall=wall, monotonic=uptime, boot="b")
    later = ClockReading(wall=later_wall, monotonic=uptime + passed, boot="b")
    assert seconds_between(earlier, later) == pytest.approx(passed, abs=1e-6)


@given(
    walls, st.floats(-1e8, 1e8), uptimes, uptimes, st.sampled_from([("a", "b"), (None, "b"), ("a", None), (None, None)])
)
def test_other_boot(wall, moved, uptime, later_uptime, boots):
    """Across boots, or where boots cannot be told apart, the wall clock counts, and never backwards."""
    earlier = ClockReading(wall=wall, monotonic=uptime, boot=boots[0])
    later = ClockReading(wall=wall + moved, monotonic=later_uptime, boot=boots[1])
    assert seconds_between(earlier, later) == pytest.approx(max(0.0, moved), abs=1e-4)


def test_time_namespaces():
    """Two containers with one boot id and unlike uptimes fall back on the wall clock."""
    earlier = ClockReading(wall=100.0, monotonic=5000.0, boot="b")
    assert seconds_between(earlier, ClockReading(wall=130.0, monotonic=20.0, boot="b")) == 30.0


def test_any_encoder_writes_a_stored_token():
    """A user's own store is given plain text, since msgspec refuses subclasses of `str`; so is who asks for the id."""
    stored = StoredToken(value=Token("abc").value, customer_id="c", secret_hash="h")
    loaded = from_record(conceal(to_record(stored)), expires_in=None)
    for one in (stored, loaded):
        assert msgspec.json.decode(msgspec.json.encode(one), type=StoredToken) == stored
        assert repr(one.customer_id) == "'c'"
    assert "abc" not in f"{stored!r} {to_record(stored)}"
