"""`client.check()` of servers that lie about pages, totals, order and forms: each lie, and what is said of it."""

from random import Random

import httpx
import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from every import every
from lies import (
    ERROR,
    breaks,
    finds_nothing,
    from_offset,
    html,
    large,
    last_change,
    lists,
    number,
    of,
    page,
    records,
    said,
    says,
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


TOTALS = {
    "missing": (page(lambda data, key, _: {key: data[key]}), {"warning totals"}),
    "null": (total(lambda _: None), {"warning totals"}),
    "half a record": (total(lambda number: number + 0.5), {"warning totals"}),
    "negative": (total(lambda _: -1), {"warning totals"}),
    "true": (total(lambda _: True), {"warning totals"}),
    "a list": (total(lambda _: []), {"warning totals"}),
    "text": (total(str), set()),
    "one too many": (total(lambda number: number + 1), {"problem page_size", "problem totals", "warning totals"}),
    "huge": (total(lambda _: 10**9), {"problem page_size", "problem totals", "warning totals"}),
    "one too few": (total(lambda number: max(number - 1, 0)), {"problem totals"}),
    "always 0": (total(lambda _: 0), {"problem totals"}),
    "the length of the page": (page(lambda data, key, _: {**data, "total_items": len(data[key])}), {"problem totals"}),
    "not of the filter": (total(lambda _: 60, finds_nothing), {"warning totals"}),
}


@every("name", TOTALS, thorough=["half a record", "negative", "true", "a list", "huge"])
async def test_each_wrong_total_is_named(name):
    """A total that is missing or unreadable is a warning, one that is wrong a problem; digits as text are a number."""
    lie, expected = TOTALS[name]
    # Which note is seen first depends on the page; whether one is seen at all is tested for itself.
    assert await said(lie) - {"not known notes"} == expected


_CUT = {"warning page_cap"}
_SHUFFLED = Random(1)

PAGES = {
    "cut to 20": (rows(lambda found, _: found[:20]), _CUT),
    "cut to 3": (rows(lambda found, _: found[:3]), _CUT),
    "cut to 1": (rows(lambda found, _: found[:1]), {*_CUT, "not known order", "not known sort"}),
    "without the first record": (
        rows(lambda found, _: found[1:]),
        {"problem filters", "problem page_size", "problem totals"},
    ),
    "without the last record": (
        rows(lambda found, _: found[:-1] if len(found) > 10 else found),
        {*_CUT, "problem page_size"},
    ),
    "with nulls": (
        rows(lambda found, _: [None if index == 1 else one for index, one in enumerate(found)]),
        {"problem filters", "problem page_size", "not known order"},
    ),
    "without ids": (without("customer_id"), {"problem order", "not known filters"}),
    "in reverse": (rows(lambda found, _: found[::-1]), {"problem order", "problem sort"}),
    "in disorder": (
        rows(lambda found, _: _SHUFFLED.sample(found, len(found))),
        {"problem order", "problem sort"},
    ),
    "in disorder when sorted by change": (
        rows(lambda found, _: found[::-1], lambda request: request.url.params.get("sort_field") == "last_change"),
        {"problem sort"},
    ),
    "of another filter": (
        rows(lambda found, _: [{"customer_id": "z"}], with_param("email")),
        {"problem filters"},
    ),
    "of one id where two are asked": (
        rows(lambda found, _: found[:1], with_param("customer_ids[]")),
        {"problem filters"},
    ),
    "of two ids in reverse": (rows(lambda found, _: found[::-1], with_param("customer_ids[]")), set()),
    "larger ones refused": (when(large, says(400, ERROR)), _CUT),
    "larger ones fail": (when(large, says(500, ERROR)), {*_CUT, "warning failures"}),
    "larger ones not in time": (when(large, breaks(httpx.ReadTimeout)), {*_CUT, "warning failures"}),
}


@every("name", PAGES, thorough=["cut to 3", "in disorder", "larger ones fail"])
async def test_each_lie_about_pages_is_named(name):
    """A cap is a warning; records that are left out, doubled or in disorder are a problem."""
    lie, expected = PAGES[name]
    # Which note is seen first depends on the page; whether one is seen at all is tested for itself.
    assert await said(lie) - {"not known notes"} == expected


async def test_pages_that_leave_out_two_records_in_a_thousand_are_named():
    """A server that leaves out records now and then, and counts them, is a problem of pages."""
    dropped = Random(2)
    lie = rows(lambda found, _: [one for one in found if dropped.random() > 0.002], of("customers"))
    assert "problem page_size" in await said(lie, customers=2350)


DEEP = {
    "refused": (when(from_offset(40), says(400, ERROR)), {"problem offset", "warning end"}),
    "not found": (when(from_offset(40), says(404, ERROR)), {"problem offset", "warning end"}),
    "failing": (when(from_offset(40), says(500, ERROR)), {"problem offset", "not known end", "warning failures"}),
    "not answered": (
        when(from_offset(40), breaks(httpx.ReadTimeout)),
        {"problem offset", "not known end", "warning failures"},
    ),
    "empty": (
        rows(lambda found, request: [] if number(request, "offset") >= 40 else found),
        {"problem page_size", "problem totals"},
    ),
    "refused after the end": (when(from_offset(61), says(400, ERROR)), {"warning end"}),
    "not found after the end": (when(from_offset(61), says(404, ERROR)), {"warning end"}),
    "204 after the end": (when(from_offset(61), says(204)), {"warning end"}),
    "failing after the end": (when(from_offset(61), says(503)), {"not known end", "warning failures"}),
    "repeated after the end": (rows(lambda _, __: [{"customer_id": "x"}], from_offset(61)), {"warning end"}),
}


@every("name", DEEP)
async def test_deep_offsets_that_do_not_come_are_named(name):
    """Where a page at the end does not come and one at the beginning does, lists cannot be read to their end."""
    lie, expected = DEEP[name]
    # Which note is seen first depends on the page; whether one is seen at all is tested for itself.
    assert await said(lie) - {"not known notes"} == expected


async def test_a_cap_before_offsets_that_are_refused_is_not_vouched_for():
    """Where pages are cut and the page after the cut is refused, it is not known whether the list ended there."""
    cut = rows(lambda found, _: found[:20])

    def lie(request, true):
        return says(400, ERROR)(request, true) if number(request, "offset") >= 20 else cut(request, true)

    assert await said(lie) == {"problem offset", "not known page_cap", "warning end"}


def setting(name, value):
    """A setting of the sandbox."""
    return lambda sandbox: setattr(sandbox.settings, name, value)


SETTINGS = {
    "every page in another order": (setting("shuffled", True), {"problem order", "problem sort"}),
    "no sort": (setting("sorts", False), {"problem sort", "warning order"}),
    "no filter": (setting("filters", False), {"problem filters", "not known empty_list", "warning notes"}),
    "no total": (setting("totals", False), {"warning totals"}),
    "equal records in any order": (setting("unstable_ties", True), set()),
    "pretty": (setting("pretty", True), set()),
    "one page": (lambda sandbox: sandbox.lie(repeat_page=True), {"problem offset", "warning end", "not known totals"}),
}


@every("name", SETTINGS)
async def test_each_setting_of_the_sandbox_is_named(name):
    """What the sandbox can break by itself is found."""
    prepare, expected = SETTINGS[name]
    assert await said(prepare=prepare) - {"not known notes"} == expected


IGNORED = {
    "offset": (("offset",), {"problem offset", "warning end", "not known totals"}),
    "count and offset": (
        ("count", "offset"),
        {"problem page_size", "problem offset", "warning end", "not known totals"},
    ),
    "sort_field": (("sort_field",), {"problem sort", "warning order"}),
    "sort_direction": (("sort_direction",), {"problem sort"}),
    "customer_ids[]": (("customer_ids[]",), {"problem filters"}),
    "email": (("email",), {"problem filters"}),
}


@every("name", IGNORED)
async def test_each_parameter_that_is_ignored_is_named(name):
    """A parameter that the server ignores is a problem of its name; without an offset, totals are doubted too."""
    ignored, expected = IGNORED[name]
    assert await said(ignored=ignored) == expected


FORMS = {
    "a byte order mark": text(lambda body: b"\xef\xbb\xbf" + body),
    "blank lines around": text(lambda body: b"\n\n " + body + b"\n"),
    "lists as objects": rows(lambda found, _: {str(index): one for index, one in enumerate(found)}),
    "empty lists as null": rows(lambda found, _: found or None),
    "empty lists as objects": rows(lambda found, _: found or {}),
    "an error that is null": text(lambda body: body.replace(b'{"data":', b'{"error":null,"data":'), lists),
    "NaN": text(lambda body: body.replace(b'"state":1', b'"state":NaN'), lists),
}


@every("name", FORMS)
async def test_each_form_that_the_sdk_reads_is_read(name):
    """What exports read exactly is no finding of the check."""
    assert await said(FORMS[name]) == set()


_NOTHING = {"not known pages", "not known change_times", "not known dead_token", "not known second_login"}
_NO_LIST = {"problem answers", "problem families", "not known empty_list", *_NOTHING}

FOREIGN = {
    "the bare list under data": page(lambda data, key, _: data[key]),
    "the bare list": text(lambda body: b'[{"customer_id": "1"}]', lists),
    "another name": page(lambda data, key, _: {"items": data[key], "total_items": data["total_items"]}),
    "a name in capitals": page(lambda data, key, _: {key.upper(): data[key], "total_items": data["total_items"]}),
    "half of the answer": text(lambda body: body[: len(body) // 2], lists),
    "a notice before": text(lambda body: b"Notice: x\n" + body, lists),
    "an empty body": text(lambda body: b"", lists),
    "no data": text(lambda body: b"{}", lists),
    "data that is null": text(lambda body: b'{"data": null}', lists),
    "an error": when(lists, says(200, ERROR)),
}


@every("name", FOREIGN)
async def test_each_form_that_is_no_list_is_named(name):
    """What the SDK cannot read is a problem of the answers, and the rest is not known."""
    assert await said(FOREIGN[name]) == _NO_LIST


async def test_a_sort_by_change_that_knows_one_direction_is_named():
    """A list that begins with the latest changes in both directions need not be sorted by them at all."""
    latest = []

    def one_way(found, request):
        latest.append(found)
        return latest[0][: len(found)]

    by_change = rows(one_way, lambda request: request.url.params.get("sort_field") == "last_change")
    assert await said(when(of("customers"), by_change)) == {"problem sort"}


async def test_equal_times_of_change_are_no_sort():
    """Where all records changed at the same time, nothing shows whether they are sorted by it."""
    assert await said(last_change(lambda _, __: "2026-01-01 00:00:00")) == {"not known sort"}


async def test_broken_text_is_named():
    """Bytes that are not UTF-8 are a problem: the SDK replaces the characters."""
    lie = text(lambda body: body.replace(b"Smith", "Smíth".encode("latin-1")), lists)
    assert await said(lie) == {"problem text"}


async def test_html_in_place_of_all_lists_accuses_no_right():
    """A proxy that answers for every list is a problem of the answers, not of rights."""
    assert await said(when(lists, html(200))) == {"problem answers", "not known empty_list", *_NOTHING}


async def test_records_that_are_empty_objects_are_named():
    """Records without any field have no ids."""
    found = await said(records(lambda record, _: record.clear()))
    assert {"problem order", "not known filters", "warning change_times"} <= found
