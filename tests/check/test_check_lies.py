"""`client.check()` of servers that lie about tokens, times and empty lists: each lie, and what the check says of it."""

from datetime import datetime, timedelta, timezone

import httpx
import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from every import every
from lies import (
    ERROR,
    PRAGUE,
    breaks,
    by_unknown_ids,
    check_of,
    dead_token,
    everything,
    finds_nothing,
    header,
    html,
    in_utc,
    last_change,
    lists,
    logins,
    of,
    once,
    recent_change,
    records,
    said,
    says,
    shifted,
    when,
    with_param,
    without,
)

pytestmark = pytest.mark.anyio

WARNED = {"warning change_times"}
#: No time of the list can be read: whether it is sorted by them is not known.
UNREADABLE = WARNED | {"not known sort"}

SPELLINGS = {
    "seconds since 1970": (last_change(lambda time, _: int(time.timestamp())), UNREADABLE),
    "milliseconds": (last_change(lambda time, _: time.timestamp() * 1000), UNREADABLE),
    "seconds as text": (last_change(lambda time, _: str(int(time.timestamp()))), UNREADABLE),
    "day first": (last_change(lambda time, _: time.strftime("%d.%m.%Y %H:%M")), UNREADABLE),
    "month first": (last_change(lambda time, _: time.strftime("%m/%d/%Y")), UNREADABLE),
    "as in a mail": (last_change(lambda time, _: time.strftime("%a, %d %b %Y %H:%M:%S GMT")), UNREADABLE),
    "an object": (last_change(lambda time, _: {"date": str(time), "timezone": "UTC"}), UNREADABLE),
    "missing": (without("last_change"), UNREADABLE),
    "null": (last_change(lambda _, __: None), UNREADABLE),
    "empty": (last_change(lambda _, __: ""), UNREADABLE),
    "zero dates": (last_change(lambda _, __: "0000-00-00 00:00:00"), UNREADABLE),
    "a zero date for the first": (
        last_change(lambda time, index: str(time) if index else "0000-00-00 00:00:00"),
        {"problem sort"},
    ),
    "dates alone": (last_change(lambda time, _: str(time.date())), UNREADABLE),
    "numbers of one list": (last_change(lambda _, __: 5, of("customers")), UNREADABLE),
    "null for the first": (last_change(lambda time, index: str(time) if index else None), WARNED),
    "every other one day first": (last_change(lambda time, i: str(time) if i % 2 else f"{time:%d.%m.%Y}"), WARNED),
    "UTC with Z": (last_change(lambda time, _: in_utc(time, "%Y-%m-%dT%H:%M:%SZ")), WARNED),
    "UTC with +00:00": (last_change(lambda time, _: in_utc(time, "%Y-%m-%d %H:%M:%S+00:00")), WARNED),
    "another offset": (
        last_change(lambda time, _: time.replace(tzinfo=PRAGUE).astimezone(timezone(timedelta(hours=-5))).isoformat()),
        WARNED,
    ),
    "the project's offset": (last_change(lambda time, _: time.replace(tzinfo=PRAGUE).isoformat()), set()),
    "with a T": (last_change(lambda time, _: time.isoformat()), set()),
}


@every(
    "name",
    SPELLINGS,
    thorough=[
        "milliseconds",
        "seconds as text",
        "month first",
        "as in a mail",
        "an object",
        "empty",
        "dates alone",
        "UTC with +00:00",
        "another offset",
    ],
)
async def test_each_spelling_of_a_change_is_named(name):
    """A `last_change` that cannot be read, or that has another offset, is a warning; the project's offset is none."""
    lie, expected = SPELLINGS[name]
    assert await said(lie) == expected


#: The hours by which every timestamp is ahead of the zone that the client was given, and what the token alone shows.
ZONES = {
    -12: {"problem timezone", "problem token_life"},
    -6: {"warning timezone"},
    -1.5: {"problem timezone"},
    -1: {"problem timezone"},
    1: {"warning timezone"},
    2: {"problem timezone"},
    8: {"problem timezone"},
}


@every("hours", ZONES, thorough=[-6, -1, 8])
async def test_another_zone_of_the_whole_server_is_named(hours):
    """A server in another time zone is a problem, or a warning if token lifetimes explain it too; a change decides."""
    assert await said(shifted(hours)) == ZONES[hours]
    assert "problem timezone" in await said(shifted(hours), prepare=recent_change)


async def test_changes_in_utc_are_named_by_a_recent_one():
    """Where only the changes are in UTC, without saying so, one of a moment ago shows it."""
    utc = last_change(lambda time, _: in_utc(time, "%Y-%m-%d %H:%M:%S"))
    assert await said(utc, prepare=recent_change) == WARNED
    assert await said(prepare=recent_change) == set()


async def test_changes_in_the_future_are_a_warning_where_the_token_fits():
    """Where the end of the token fits the zone, changes of tomorrow can be mistakes of single records."""
    assert await said(shifted(2, lists), prepare=recent_change) == {"warning timezone"}


def last_login(hours):
    """A lie about the user's last login: it is of now, by another zone; the second login shows another time."""
    seen = []

    def write(request, true):
        seen.append(request)
        document = true.json()
        moment = datetime.now(PRAGUE) + timedelta(hours=hours, seconds=len(seen))
        document["data"]["user"]["last_login"] = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
        return httpx.Response(true.status_code, json=document, headers={"date": true.headers["date"]})

    return when(logins, write)


@every("hours", [-2, -1, 1, 8], thorough=[-2, 8])
async def test_the_time_of_the_second_login_shows_the_zone(hours):
    """A last login that moves with each login, and lies hours away from now, is a problem of the zone."""
    assert await said(last_login(hours), token_lifetime=2700) == {"problem timezone"}


async def test_the_time_of_the_second_login_confirms_the_zone():
    """Where the life of tokens shows nothing, the time of the login does."""
    assert await said(last_login(0), token_lifetime=2700) == set()
    assert await said(token_lifetime=2700) == {"not known timezone"}


TOKENS = {
    "403": (when(dead_token, says(403, ERROR)), {"warning dead_token"}),
    "records": (
        when(dead_token, says(200, {"data": {"customers": [{"customer_id": "a"}], "total_items": 1}})),
        {"problem dead_token"},
    ),
    "a login form": (when(dead_token, html(200)), {"warning dead_token", "warning answers"}),
    "401 HTML": (when(dead_token, html(401)), {"warning dead_token", "warning answers"}),
    "401 without a body": (when(dead_token, says(401)), {"warning dead_token", "warning answers"}),
    "HTML that passes": (once(dead_token, html(502)), {"warning failures"}),
    "a redirect": (
        when(dead_token, says(302, headers={"location": "/login"})),
        {"warning dead_token", "warning answers"},
    ),
    "500": (when(dead_token, says(500, ERROR)), {"warning dead_token", "warning failures"}),
    "503": (when(dead_token, says(503)), {"warning dead_token", "warning failures"}),
    "429": (when(dead_token, says(429)), {"not known dead_token", "warning rate_limit"}),
    "no answer": (when(dead_token, breaks(httpx.ReadTimeout)), {"not known dead_token", "warning failures"}),
}


@every("name", TOKENS, thorough=["401 without a body", "503"])
async def test_the_answer_to_a_dead_token_is_named(name):
    """Anything but a 401 is a warning or worse; an answer that is not the API's shows nothing."""
    lie, expected = TOKENS[name]
    assert await said(lie) == expected


def only_last_token():
    """A server whose login ends the token of the login before."""
    issued = []

    def lie(request, true):
        if logins(request):
            issued.append(true.json()["data"]["bearer_token"])
        elif request.headers["authorization"].removeprefix("Bearer ") in issued[:-1]:
            return says(401, ERROR)(request, true)
        return true

    return lie


SECOND_LOGINS = {
    "ends the first": (only_last_token(), {}, {"warning second_login"}),
    "gets the same token": (None, {"reuse_tokens": 60}, set()),
    "is refused": (once(logins, says(403, ERROR), after=1), {}, {"not known second_login"}),
    "fails": (once(logins, says(503), after=1), {}, {"not known second_login", "warning failures"}),
    "is a page of HTML": (once(logins, html(200), after=1), {}, {"not known second_login"}),
    "is refused with 429": (once(logins, says(429), after=1), {}, {"not known second_login", "warning rate_limit"}),
    "gets no token": (once(logins, says(200, {"data": {}}), after=1), {}, {"not known second_login"}),
    "is not answered": (
        once(logins, breaks(httpx.ReadTimeout), after=1),
        {},
        {"not known second_login", "warning failures"},
    ),
}


@every("name", SECOND_LOGINS)
async def test_the_second_login_is_judged(name):
    """One that ends the first token is a warning; one that fails shows nothing."""
    lie, settings, expected = SECOND_LOGINS[name]
    assert await said(lie, **settings) == expected


EMPTY = {
    "204": (when(finds_nothing, says(204)), {"problem empty_list"}),
    "404": (when(finds_nothing, says(404, ERROR)), {"problem empty_list"}),
    "400": (when(finds_nothing, says(400, ERROR)), {"problem empty_list"}),
    "403": (when(finds_nothing, says(403, ERROR)), {"problem empty_list"}),
    "no data": (when(finds_nothing, says(200, {})), {"problem empty_list"}),
    "data is null": (when(finds_nothing, says(200, {"data": None})), {"problem empty_list"}),
    "no list and no total": (when(finds_nothing, says(200, {"data": {}})), {"problem empty_list"}),
    "no list and a total": (when(finds_nothing, says(200, {"data": {"total_items": 60}})), {"problem empty_list"}),
    "an error with 200": (when(finds_nothing, says(200, ERROR)), {"problem empty_list"}),
    "an empty body": (when(finds_nothing, says(200)), {"problem empty_list"}),
    "404 for ids alone": (when(by_unknown_ids, says(404, ERROR)), {"problem empty_list"}),
    "data is a list": (when(finds_nothing, says(200, {"data": []})), set()),
    "no list and no records": (when(finds_nothing, says(200, {"data": {"total_items": 0}})), set()),
    "503": (when(finds_nothing, says(503)), {"not known empty_list", "not known filters", "warning failures"}),
    "a filter by ids is refused": (
        when(with_param("customer_ids[]"), says(400, ERROR)),
        {"problem filters", "warning filters"},
    ),
    "a filter by e-mail is refused": (when(with_param("email"), says(400, ERROR)), {"warning filters"}),
    "a customer that does not exist is refused": (
        when(with_param("customer_id"), says(400, ERROR)),
        {"not known filters"},
    ),
}


@every("name", EMPTY, thorough=["400", "403", "data is null", "no list and no total", "an empty body"])
async def test_the_form_of_an_empty_list_is_named(name):
    """An empty list that is no list is a problem; a filter that is refused whatever its value is another matter."""
    lie, expected = EMPTY[name]
    # A history without records comes in the same form, so that its notes are not known.
    assert await said(lie) - {"not known notes"} == expected


CLOCKS = {
    "no Date": (header("date", None), {"warning clock", "not known timezone", "not known token_life"}),
    "a Date that is none": (
        header("date", "yesterday"),
        {"warning clock", "not known timezone", "not known token_life"},
    ),
    "no Date at the login": (
        header("date", None, logins),
        {"warning clock", "not known timezone", "not known token_life"},
    ),
    "a Date of a cache": (header("date", "Sat, 01 Jan 2022 00:00:00 GMT", lists), {"problem clock"}),
}


@every("name", CLOCKS)
async def test_a_clock_that_shows_nothing_vouches_for_nothing(name):
    """Without a usable `Date` neither the zone nor the life of a token is known."""
    lie, expected = CLOCKS[name]
    assert await said(lie) == expected


async def test_nothing_of_a_lie_is_in_the_report():
    """What a server writes into errors, headers, ids and times is not shown."""
    canary = "canary7"
    refusal = {"error": {"type": canary, "title": canary, "detail": canary}}
    lies = [
        records(lambda record, _: record.update(last_change=canary)),
        when(finds_nothing, says(400, refusal)),
        when(dead_token, says(403, refusal, headers={"server": canary})),
        header("date", canary, everything),
    ]
    for lie in lies:
        found = await check_of(lie)
        assert canary not in found.to_json() + str(found) + repr(found)
