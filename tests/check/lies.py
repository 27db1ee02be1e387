"""Servers that lie: a tidy sandbox whose answers are changed on the way, and the lies as functions.

A lie takes a request and the sandbox's answer, and returns the answer that the client gets. It may raise an error of
httpx, as a connection that breaks does.
"""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
from check_tools import NOT_KNOWN, OK, OWN_TRANSPORT, check, make
from kit import through

HTML = b"<!DOCTYPE html><html><head><title>Blocked</title></head><body>Access denied</body></html>"
ERROR = {"error": {"type": "made_up", "exception": "made_up_exception", "title": "No", "detail": "no"}}
PRAGUE = ZoneInfo("Europe/Prague")


async def said(lie=None, **more):
    """What a check says of a small sandbox with a lie: each level and name that is not ok, once.

    Left out is what the test's transport hides, and that the sandbox has no change of the last minutes.

    Args:
        lie: the lie; the truth if left out.
        **more: as for `check_of`.
    """
    if hasattr(lie, "begin"):
        lie.begin()
    report = await check_of(lie, **more)
    no_change = [finding for finding in report.not_known if "no change of the last minutes" in finding.seen]
    findings = [finding for finding in report.findings if finding.status is not OK and finding not in no_change]
    hidden = {(NOT_KNOWN, name) for name in OWN_TRANSPORT}
    return {f"{it.status} {it.name}" for it in findings if (it.status, it.name) not in hidden}


async def check_of(lie=None, *, prepare=None, ignored=(), **settings):
    """The check of a small sandbox with a lie.

    Args:
        lie: the lie; the truth if left out.
        prepare: called with the sandbox before the check.
        ignored: parameters of queries that the server ignores.
        **settings: settings of the sandbox.
    """
    sandbox = make(**settings)
    if prepare is not None:
        prepare(sandbox)

    def before(request):
        for name in ignored:
            request.url = request.url.copy_remove_param(name)

    def after(request, true):
        return None if lie is None else lie(request, _with(true, true.content))

    return await check(sandbox, transport=through(sandbox, before, after))


def recent_change(sandbox):
    """A customer was changed a moment ago."""
    sandbox.customers.update(sandbox.customers.ids()[3], {"state": 1})


# Which requests a lie is about


def everything(request):
    return True


def lists(request):
    return request.method == "GET"


def logins(request):
    return request.method == "POST"


def of(path):
    return lambda request: request.method == "GET" and request.url.path.endswith(f"/{path}")


def number(request, name):
    return int(request.url.params.get(name, 0))


def with_param(*names):
    return lambda request: request.method == "GET" and any(name in request.url.params for name in names)


def large(request):
    return request.method == "GET" and number(request, "count") >= 1000


def from_offset(least):
    return lambda request: request.method == "GET" and number(request, "offset") >= least


def by_unknown_ids(request):
    """The filter by ids that no customer has: 26 hex digits that are no id of the sandbox."""
    values = request.url.params.get_list("customer_ids[]")
    return len(values) == 2 and values[0] == values[1][::-1]


def finds_nothing(request):
    """All filters that find nothing."""
    query = request.url.params
    return request.method == "GET" and (
        by_unknown_ids(request) or any(name in query for name in ("email", "last_name", "customer_id"))
    )


# What is answered instead


def says(status, body=b"", *, kind="application/json", headers=None):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda request, answer: httpx.Response(
        status, content=content, headers={"content-type": kind, **_kept(answer), **(headers or {})}
    )


def html(status):
    return says(status, HTML, kind="text/html")


def breaks(error):
    def answer(request, _):
        raise error("made up", request=request)

    return answer


def when(match, answer):
    """A lie about the requests that match."""
    return lambda request, true: answer(request, true) if match(request) else true


def once(match, answer, *, after=0, times=1):
    """A lie about some of the requests that match, counted from the beginning of each check."""
    seen = [0]

    def lie(request, true):
        if not match(request):
            return true
        seen[0] += 1
        return answer(request, true) if after < seen[0] <= after + times else true

    lie.begin = lambda: seen.__setitem__(0, 0)
    return lie


def _kept(answer):
    return {name: answer.headers[name] for name in ("date",) if name in answer.headers}


# Lies about what lists hold


def page(change, match=lists):
    """A lie about the pages of lists: `change` gets `data`, the name of the list and the request; it returns `data`."""

    def lie(request, true):
        if not match(request) or true.status_code != 200:
            return true
        document = json.loads(true.content)
        data = document.get("data")
        key = next((name for name, value in data.items() if isinstance(value, list)), None) if data else None
        if key is None:
            return true
        return _with(true, json.dumps({"data": change(data, key, request)}).encode())

    return lie


def records(change, match=lists):
    """A lie about each record; `change` changes it in place, and gets its place in the page."""

    def change_all(data, key, request):
        for index, record in enumerate(data[key]):
            change(record, index)
        return data

    return page(change_all, match)


def text(change, match=lists):
    """A lie about the bytes of an answer."""

    def lie(request, true):
        return _with(true, change(true.content)) if match(request) else true

    return lie


def header(name, value, match=everything):
    """A lie about a header; `None` takes it away."""

    def lie(request, true):
        if match(request):
            if value is None:
                true.headers.pop(name, None)
            else:
                true.headers[name] = value(true) if callable(value) else value
        return true

    return lie


def _with(true, content):
    headers = [(name, value) for name, value in true.headers.multi_items() if name.lower() != "content-length"]
    return httpx.Response(true.status_code, content=content, headers=headers)


# Times of change


def last_change(write, match=lists):
    """A lie about `last_change`: `write` gets the local time and the place in the page, and returns what is sent."""

    def change(record, index):
        if isinstance(record.get("last_change"), str):
            record["last_change"] = write(datetime.fromisoformat(record["last_change"]), index)

    return records(change, match)


def without(name):
    """A lie that leaves a field out."""
    return records(lambda record, _: record.pop(name, None), lists)


def in_utc(time, spelling):
    """A local time of the sandbox in UTC."""
    return time.replace(tzinfo=PRAGUE).astimezone(UTC).strftime(spelling)


def shifted(hours, match=everything):
    """Every timestamp of an answer is shifted, as where the server's zone is another one."""

    def change(value):
        if isinstance(value, dict):
            return {name: change(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [change(item) for item in value]
        try:
            return str(datetime.fromisoformat(value) + timedelta(hours=hours)) if len(value) == 19 else value
        except (TypeError, ValueError):
            return value

    return text(lambda body: json.dumps(change(json.loads(body))).encode() if body else body, match)
