"""`client.check()` of servers that lie: each lie, and what the check says of it."""

from datetime import datetime, timedelta
from random import Random

import httpx
import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from check_tools import seen
from every import every
from kit import hand_out_again
from lies import (
    ERROR,
    PRAGUE,
    breaks,
    by_unknown_ids,
    check_of,
    finds_nothing,
    from_offset,
    header,
    html,
    in_utc,
    large,
    last_change,
    lists,
    logins,
    number,
    of,
    once,
    page,
    recent_change,
    said,
    says,
    shifted,
    text,
    when,
    with_param,
    without,
)

pytestmark = pytest.mark.anyio


def total(change, match=lists):
    """A lie about `total_items`."""
    return page(lambda data, *_: {**data, "total_items": change(data["total_items"])}, match)


def rows(change, match=lists):
    """A lie about the records of a page; `change` gets them and the request."""
    return page(lambda data, key, request: {**data, key: change(data[key], request)}, match)


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


def one_way():
    """A list that begins with the latest changes in both directions, and need not be sorted by them at all."""
    latest = []

    def change(shown, _):
        latest.append(shown)
        return latest[0][: len(shown)]

    by_change = rows(change, lambda request: request.url.params.get("sort_field") == "last_change")
    return lambda request, true: by_change(request, true) if of("customers")(request) else true


def cut_before_refused_offsets(request, true):
    """Pages are cut, and the page after the cut is refused: whether the list ended there is not known."""
    refused = number(request, "offset") >= 20
    return says(400, ERROR)(request, true) if refused else rows(lambda shown, _: shown[:20])(request, true)


DISORDER = Random(1)
ZERO_DATES = last_change(lambda *_: "0000-00-00 00:00:00")
UTC = last_change(lambda time, _: in_utc(time, "%Y-%m-%d %H:%M:%S"))
GONE = "problem answers, not known families, not known unexamined"

#: The lie, and what is said of it: all warnings and problems, and what must not be known.
LIES = {
    # Times of change
    "zero dates": (ZERO_DATES, "warning change_times, not known sort"),
    "the first time that a program can write": (
        last_change(lambda *_: "0001-01-01 00:00:00"),
        "warning change_times, not known sort",
    ),
    "numbers": (last_change(lambda time, _: int(time.timestamp())), "warning change_times, not known sort"),
    "sorted by change in one direction": (one_way(), "problem sort"),
    # Tokens and logins
    "a login ends the token before it": (only_last_token(), "warning second_login"),
    # Empty lists and filters
    "204 for an empty list": (when(finds_nothing, says(204)), "problem empty_list"),
    "a filter by ids is refused": (when(with_param("customer_ids[]"), says(400, ERROR)), "problem filters"),
    # Clocks
    "no Date": (header("date", None), "warning clock, not known timezone, not known token_life"),
    # Totals
    "no total": (page(lambda data, key, _: {key: data[key]}), "warning totals"),
    "one too many": (
        total(lambda shown: shown + 1),
        "problem totals, problem page_size",
    ),
    "a total without the filter": (total(lambda _: 60, finds_nothing), "warning totals"),
    # Pages
    "large pages refused": (when(large, says(400, ERROR)), "warning page_cap"),
    "in disorder": (rows(lambda shown, _: DISORDER.sample(shown, len(shown))), "problem order, problem sort"),
    "deep offsets refused": (when(from_offset(40), says(400, ERROR)), "problem offset, warning end, not known totals"),
}

#: Variants of others.
VARIANTS = {
    "UTC with Z": (last_change(lambda time, _: in_utc(time, "%Y-%m-%dT%H:%M:%SZ")), "warning change_times"),
    "equal times": (last_change(lambda *_: "2026-01-01 00:00:00"), "not known sort"),
    "a second login is refused": (once(logins, says(403, ERROR), after=1), "not known second_login"),
    "cut to 20": (rows(lambda shown, _: shown[:20]), "warning page_cap"),
    "the bare list": (text(lambda body: b'[{"customer_id": "1"}]', lists), GONE),
    "day first": (last_change(lambda time, _: time.strftime("%d.%m.%Y %H:%M")), "warning change_times, not known sort"),
    "null": (last_change(lambda *_: None), "warning change_times, not known sort"),
    "in reverse when sorted by change": (
        lambda request, true: (
            rows(lambda shown, _: shown[::-1])(request, true) if "last_change" in str(request.url) else true
        ),
        "problem sort",
    ),
    "a second login is a page of HTML": (once(logins, html(200), after=1), "not known second_login"),
    "404 for an empty list": (when(finds_nothing, says(404, ERROR)), "problem empty_list"),
    "no list for an empty one": (when(finds_nothing, says(200, {"data": {}})), "problem empty_list"),
    "an error with 200 for an empty list": (when(finds_nothing, says(200, ERROR)), "problem empty_list"),
    "404 for ids that nobody has": (when(by_unknown_ids, says(404, ERROR)), "problem empty_list"),
    "[] for an empty list": (when(finds_nothing, says(200, {"data": []})), ""),
    "503 for an empty list": (
        when(finds_nothing, says(503)),
        "not known empty_list, not known filters, warning failures",
    ),
    "another record for a filter": (
        rows(lambda *_: [{"customer_id": "z", "last_change": "2026-01-01 00:00:00"}], with_param("email")),
        "problem filters",
    ),
    "two ids in reverse": (rows(lambda shown, _: shown[::-1], with_param("customer_ids[]")), ""),
    "no Date at the login": (
        header("date", None, logins),
        "warning clock, not known timezone, not known token_life",
    ),
    "a Date of a cache": (header("date", "Sat, 01 Jan 2022 00:00:00 GMT", lists), "problem clock"),
    "a total of half a record": (total(lambda shown: shown + 0.5), "warning totals"),
    "a total as text": (total(str), ""),
    "one too few": (total(lambda shown: max(shown - 1, 0)), "problem totals"),
    "a total of 0": (total(lambda _: 0), "problem totals"),
    "the length of the page": (page(lambda data, key, _: {**data, "total_items": len(data[key])}), "problem totals"),
    "cut to 1": (rows(lambda shown, _: shown[:1]), "warning page_cap, not known order, not known sort"),
    "without the last record": (
        rows(lambda shown, _: shown[:-1] if len(shown) > 10 else shown),
        "warning page_cap, problem page_size",
    ),
    "large pages fail": (when(large, says(500, ERROR)), "warning page_cap, warning failures"),
    "large pages not in time": (when(large, breaks(httpx.ReadTimeout)), "warning page_cap, warning failures"),
    "deep offsets fail": (
        when(from_offset(40), says(500, ERROR)),
        "problem offset, warning failures, not known end, not known totals",
    ),
    "deep offsets empty": (
        rows(lambda shown, request: [] if number(request, "offset") >= 40 else shown),
        "problem totals, problem page_size",
    ),
    "404 after the end": (when(from_offset(61), says(404, ERROR)), "warning end"),
    "503 after the end": (when(from_offset(61), says(503)), "not known end, warning failures"),
    "a cap before offsets that are refused": (
        cut_before_refused_offsets,
        "problem offset, not known page_cap, warning end",
    ),
    "lists as objects": (rows(lambda shown, _: {str(index): record for index, record in enumerate(shown)}), ""),
    "empty lists as null": (rows(lambda shown, _: shown or None), ""),
    "NaN": (text(lambda body: body.replace(b'"state":1', b'"state":NaN'), lists), ""),
    "another name": (page(lambda data, key, _: {"items": data[key], "total_items": data["total_items"]}), GONE),
    "half of the answer": (text(lambda body: body[: len(body) // 2], lists), GONE),
    "an error": (when(lists, says(200, ERROR)), GONE),
    "no last_change": (without("last_change"), "warning change_times, not known sort"),
    "null for the first": (last_change(lambda time, index: str(time) if index else None), ""),
    "the project's offset": (last_change(lambda time, _: time.replace(tzinfo=PRAGUE).isoformat()), ""),
    "a filter by e-mail is refused": (when(with_param("email"), says(400, ERROR)), "warning filters"),
    "a customer that does not exist is refused": (
        when(with_param("customer_id"), says(400, ERROR)),
        "not known filters",
    ),
    "one id where two are asked": (rows(lambda shown, _: shown[:1], with_param("customer_ids[]")), "problem filters"),
    "with nulls": (
        rows(lambda shown, _: [None if index == 1 else record for index, record in enumerate(shown)]),
        "problem filters, not known order",
    ),
    "without ids": (without("customer_id"), "problem order"),
    "records after the end": (
        rows(lambda *_: [{"customer_id": "x", "last_change": "2026-01-01 00:00:00"}], from_offset(61)),
        "warning end",
    ),
    "a byte order mark": (text(lambda body: b"\xef\xbb\xbf" + body), ""),
    "HTML": (when(lists, html(200)), GONE),
}


def agrees(findings, expected):
    """Whether all warnings and problems are those expected, and what must not be known is not."""
    wanted = {part for part in expected.split(", ") if part}
    unknown = {finding for finding in wanted if finding.startswith("not known")}
    return {
        finding for finding in findings if not finding.startswith("not known")
    } == wanted - unknown and unknown <= findings


@every("name", LIES | VARIANTS, thorough=VARIANTS)
async def test_each_lie_is_named(name):
    """What a server does otherwise than assumed is a warning or a problem of its name, and nothing else is accused."""
    lie, expected = (LIES | VARIANTS)[name]
    findings = await said(lie)
    assert agrees(findings, expected), findings


IGNORED = {
    "offset": "problem offset, warning end, not known totals",
    "count offset": "problem page_size, problem offset, warning end, not known totals",
    "sort_field": "problem sort, warning order",
    "sort_direction": "problem sort",
    "customer_ids[]": "problem filters",
    "email": "problem filters",
}


@every("names", IGNORED, thorough=["count offset", "sort_direction"])
async def test_each_parameter_that_is_ignored_is_named(names):
    """A parameter that the server ignores is a problem of its name; without an offset, totals are not known."""
    findings = await said(ignored=names.split())
    assert agrees(findings, IGNORED[names]), findings


#: The hours by which every timestamp is ahead of the zone that the client was given, and what the token alone shows.
ZONES = {
    -12: "problem timezone, problem token_life",
    -6: "warning timezone",
    1: "warning timezone",
    2: "problem timezone",
}


@every("hours", ZONES, thorough=[-6])
async def test_another_zone_of_the_whole_server_is_named(hours):
    """A server in another time zone is a problem, or a warning if token lifetimes explain it too; a change decides."""
    assert agrees(await said(shifted(hours)), ZONES[hours])
    assert "problem timezone" in await said(shifted(hours), prepare=recent_change)


async def test_a_list_without_times_says_what_stands_in_their_place():
    """Zero dates, nulls and fields that are left out are one thing, and the finding names all three."""
    report = await check_of(ZERO_DATES)
    assert "none, null or a zero date in every record" in seen(report, "change_times")


async def test_changes_in_utc_are_named_by_a_recent_one():
    """Where only the changes are in UTC, without saying so, one of a moment ago shows it."""
    assert await said(UTC, prepare=recent_change) == {"warning change_times"}
    assert await said(prepare=recent_change) == set()


async def test_changes_in_the_future_are_a_warning_where_the_token_fits():
    """Where the end of the token fits the zone, changes of tomorrow can be mistakes of single records."""
    assert agrees(await said(shifted(2, lists), prepare=recent_change), "warning timezone")


@every("hours", [-2, 1, 4.75, 0, None], thorough=[-2])
async def test_the_time_of_the_second_login_shows_the_zone(hours):
    """A last login that moves with each login shows the zone, where the life of tokens does not."""
    lie, expected = (
        (None, "not known timezone") if hours is None else (last_login(hours), "problem timezone" if hours else "")
    )
    assert agrees(await said(lie, token_lifetime=2700), expected)


async def test_a_second_login_may_get_the_same_token():
    """A server that gives the same token again is healthy."""
    assert await said(prepare=lambda sandbox: hand_out_again(sandbox, 60)) == set()
