"""`client.check()` where single questions get no answer of the API: nothing is accused, and nothing vouched for."""

import httpx
import pytest

pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from every import every
from lies import (
    ERROR,
    breaks,
    by_unknown_ids,
    finds_nothing,
    from_offset,
    html,
    large,
    lists,
    of,
    once,
    said,
    says,
    when,
    with_param,
)
from thorough import examples

pytestmark = pytest.mark.anyio

#: What shows nothing of how the API takes a question.
NO_EVIDENCE = {
    "503": says(503),
    "500 of the API": says(500, ERROR),
    "502 HTML": html(502),
    "403 HTML": html(403),
    "404 HTML": html(404),
    "400 HTML": html(400),
    "200 HTML": html(200),
    "401 HTML": html(401),
    "403 without a body": says(403),
    "403 of a gateway": says(403, {"message": "Forbidden"}),
    "418 text": says(418, b"teapot", kind="text/plain"),
    "451 HTML": html(451),
    "a redirect": says(302, headers={"location": "/login"}),
    "429 with a long wait": says(429, headers={"retry-after": "60"}),
    "no answer in time": breaks(httpx.ReadTimeout),
    "no connection": breaks(httpx.ConnectError),
    "a broken connection": breaks(httpx.ReadError),
    "a 401": says(401, ERROR),
}

#: What the client repeats: it neither waits long after a 429 nor repeats a redirect.
PASSING = [name for name in NO_EVIDENCE if name not in {"429 with a long wait", "a redirect"}]

#: The API's own refusals, and success statuses without a list.
REFUSALS = {
    "400": says(400, ERROR),
    "403": says(403, ERROR),
    "404": says(404, ERROR),
    "410": says(410, ERROR),
    "204": says(204),
    "200 with an error": says(200, ERROR),
    "200 with other JSON": says(200, {"status": "ok"}),
    "200 text": says(200, b"ok", kind="text/plain"),
}

#: The questions of a check: which requests ask them, and the findings that answer them.
QUESTIONS = {
    "a family": (of("cards"), {"families", "answers"}),
    "the customers": (of("customers"), {"families", "answers"}),
    "a large page": (large, {"page_cap"}),
    "any sort": (with_param("sort_field"), {"sort"}),
    "a sort by change": (lambda request: request.url.params.get("sort_field") == "last_change", {"sort"}),
    "falling ids": (lambda request: request.url.params.get("sort_direction") == "DESC", {"sort"}),
    "filters that find nothing": (finds_nothing, {"empty_list", "filters"}),
    "a filter by e-mail": (with_param("email"), {"filters", "empty_list"}),
    "a filter by ids": (with_param("customer_ids[]"), {"filters"}),
    "unknown ids": (by_unknown_ids, {"filters", "empty_list"}),
    "a page after the end": (from_offset(61), {"end"}),
}

#: Without the large page: one that fails where a smaller one comes is evidence, see `test_check_lies.py`.
SINGLE = [question for question in QUESTIONS if question != "a large page"]

#: Findings about the way to the server, which each failure may have.
ABOUT_THE_WAY = {"failures", "answers", "rate_limit"}


THOROUGH = examples(1000) == 1000


def chosen(questions, answers, *, each):
    """Pairs of a question and an answer: all with --thorough, otherwise `each` answers to a question, in turn."""
    names = [*answers]
    size = len(names) if THOROUGH else each
    places = [(at * size + turn, question) for at, question in enumerate(questions) for turn in range(size)]
    return [(question, names[place % len(names)]) for place, question in places]


def some(names, *, quick):
    """All names with --thorough, otherwise a number of them."""
    return [*names] if THOROUGH else [*names][:: len(names) // quick]


@every("question, answer", chosen(SINGLE, NO_EVIDENCE, each=1))
async def test_a_failed_reply_accuses_nothing_and_vouches_for_nothing(question, answer):
    """What it would have shown is not known, and nothing but the way to the server is a warning or a problem."""
    match, names = QUESTIONS[question]
    findings = await said(when(match, NO_EVIDENCE[answer]))
    accused = {finding.partition(" ")[2] for finding in findings if not finding.startswith("not known")} - ABOUT_THE_WAY
    if "family" in question or "customers" in question:
        accused -= names if "401" in answer else set()
    assert not accused
    assert findings & {f"{level} {name}" for name in names for level in ("not known", "problem")}


@every("question, answer", chosen([*QUESTIONS], REFUSALS, each=1))
async def test_a_refusal_is_not_vouched_for(question, answer):
    """A question that the API itself refuses each time has a finding that is not ok."""
    match, names = QUESTIONS[question]
    findings = await said(when(match, REFUSALS[answer]))
    not_there = "family" in question or "customers" in question
    assert findings & {f"{level} {name}" for name in names for level in ("warning", "problem")} or (
        not_there and answer == "404"
    )


@every("answer", some(NO_EVIDENCE | REFUSALS, quick=4))
async def test_a_server_that_stops_in_the_middle_accuses_nothing(answer):
    """From the time when nothing comes any more, nothing is a problem of filters, sorts, tokens or empty lists."""
    stopped = once(lists, (NO_EVIDENCE | REFUSALS)[answer], after=26, times=1000)
    findings = await said(stopped)
    assert (
        not {finding.partition(" ")[2] for finding in findings if not finding.startswith("not known")} - ABOUT_THE_WAY
    )
    assert {"not known filters", "not known order", "not known notes"} <= findings


@every("answer", some(PASSING, quick=3))
async def test_one_failed_reply_is_asked_for_again(answer):
    """A request that the client repeats with success leaves no finding but on the way to the server."""
    findings = await said(once(of("cards"), NO_EVIDENCE[answer]))
    assert {finding.partition(" ")[2] for finding in findings} <= ABOUT_THE_WAY
