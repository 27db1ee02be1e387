"""How long a token lives, worked out of `valid_to`, the zone and `Date`."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecloud_async import ConfigurationError, Token
from carecloud_async._calls.auth.token import DEFAULT_LIFETIME, RenewalWindows, activate, lifetime, valid_to_utc

PRAGUE = ZoneInfo("Europe/Prague")
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Europe/Prague", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "UTC")]
)
INSTANTS = st.floats(min_value=1_577_836_800, max_value=2_051_222_400).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


def seconds(token, date, zone=PRAGUE, now=datetime(2026, 6, 1, tzinfo=UTC)):
    return lifetime(token, zone=zone, date=date, now=now)


@given(zone=ZONES, login=INSTANTS, life=st.floats(min_value=3, max_value=30 * 86_400))
def test_a_lifetime_is_never_longer_than_the_truth(zone, login, life):
    """Whatever zone, hour and rounding: a token is never believed to live on after its end, and not much shorter."""
    end = login + timedelta(seconds=life)
    text = end.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    found, problem = seconds(Token("t", valid_to=text), login.replace(microsecond=0), zone)
    assert problem is None
    assert found <= life
    # An hour that autumn repeats is read as the earlier one.
    assert found > life - 2 or found > life - 3602


def test_autumn_takes_the_earlier_of_two_instants_unless_it_is_past():
    """02:30 happens twice on 25 October 2026."""
    text = "2026-10-25 02:30:00"
    before, between = datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert valid_to_utc(text, zone=PRAGUE, after=before) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert valid_to_utc(text, zone=PRAGUE, after=between) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_spring_skips_an_hour_and_no_token_dies_of_it():
    """A `valid_to` within the hour that does not exist is read as an instant close to it."""
    date = datetime(2026, 3, 29, 0, 20, tzinfo=UTC)
    found, problem = seconds(Token("t", valid_to="2026-03-29 02:30:00"), date)
    assert problem is None
    assert found == 10 * 60 - 1
    assert seconds(Token("t", valid_to="2026-03-29 03:30:00"), date) == (70 * 60 - 1, None)


@pytest.mark.parametrize("text", ["", "soon", "0000-00-00 00:00:00", "2026-13-45 10:00:00"])
def test_an_unreadable_end_gives_the_default(text):
    """What is no date is taken as seven hours, and said to be wrong."""
    found, problem = seconds(Token("t", valid_to=text), datetime(2026, 6, 1, tzinfo=UTC))
    assert found == DEFAULT_LIFETIME
    assert "valid_to" in problem


@pytest.mark.parametrize(
    "token",
    [
        Token("t", valid_to="2026-05-31 10:00:00"),
        Token("t", valid_to="2029-01-01 00:00:00"),
        Token("t", valid_to="9999-12-31 23:59:59"),
        Token("t", expires_in=0),
        Token("t", expires_in=-5),
        Token("t", expires_in=float("nan")),
        Token("t", expires_in=float("inf")),
    ],
)
def test_an_unusable_token_lifetime_gives_the_default(token):
    """A lifetime that is negative, infinite or no number counts as seven hours."""
    found, problem = seconds(token, datetime(2026, 6, 1, tzinfo=UTC))
    assert found == DEFAULT_LIFETIME
    assert problem


@pytest.mark.parametrize("given", [timedelta(hours=7), "3600", True])
def test_the_seconds_of_a_token_are_a_number(given):
    """A timedelta, a text and a truth value are refused at once, with what to write."""
    with pytest.raises(ConfigurationError, match=r"expires_in must be a number of seconds; .* total_seconds"):
        Token("t", expires_in=given)


def test_without_date_a_local_end_says_nothing_and_an_aware_one_is_measured_here():
    """A missing `Date` gives the default; an aware end of a provider's own counts by the host's clock."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    found, problem = seconds(Token("t", valid_to="2026-06-01 05:00:00"), None, now=now)
    assert found == DEFAULT_LIFETIME
    assert "Date" in problem
    assert seconds(Token("t", valid_to=now + timedelta(minutes=5)), None, now=now) == (299, None)
    assert seconds(Token("t", valid_to=now - timedelta(minutes=5)), None, now=now)[0] == DEFAULT_LIFETIME


def test_token_lifetime_of_one_second_is_accepted():
    """A lifetime of one second is taken as it is, and not as the default of seven hours."""
    date = datetime(2026, 6, 1, tzinfo=UTC)
    assert seconds(Token("t", valid_to=date + timedelta(seconds=1)), date) == (0.5, None)


@given(
    life=st.floats(min_value=0.1, max_value=1e7),
    advisory=st.floats(min_value=0, max_value=0.99),
    mandatory=st.floats(min_value=0, max_value=0.99),
)
def test_windows_lie_in_order_within_the_life(life, advisory, mandatory):
    """Renew, require, end come in this order, and never before the token was obtained."""
    windows = RenewalWindows(advisory=advisory, mandatory=mandatory)
    laid = activate(Token("t"), seconds=life, start=100.0, windows=windows)
    assert 100.0 <= laid.renew_at <= laid.require_at <= laid.ends_at == 100.0 + life


def test_windows_must_be_parts():
    """A window is a part of a life."""
    for wrong in ({"advisory": 1}, {"mandatory": -0.1}):
        with pytest.raises(ConfigurationError):
            RenewalWindows(**wrong)


@pytest.mark.parametrize("value", ["", "a b", "token\n", "tóken", None, 7])
def test_a_token_is_what_a_header_can_carry(value):
    """HTTP libraries quote a bad header in their errors, so a bad token is refused before, unquoted."""
    with pytest.raises(ConfigurationError) as caught:
        Token(value)
    assert "ASCII" in str(caught.value)
    assert str(value) not in str(caught.value) or not value


def test_a_token_hides_its_value():
    """The repr shows stars."""
    assert "secret-value" not in repr(Token("secret-value", valid_to="x", customer_id="c"))


def test_dates_are_read_as_http_writes_them():
    """The format of `Date` used by the sandbox is the one that is understood."""
    from carecloud_async._calls.call.call_errors import server_date

    moment = datetime(2026, 6, 1, 12, 0, 5, tzinfo=UTC)
    assert server_date({"date": format_datetime(moment, usegmt=True)}) == moment
