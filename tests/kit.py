"""Clients and servers for tests: a sandbox, also with some answers of the test's own, and a server that is scripted."""

import inspect
import json
import re
from collections import Counter
from datetime import timedelta
from email.utils import format_datetime

import attrs
import httpx
from clocks import InstantClock

from carecloud_async import (
    AuthProvider,
    CareCloud,
    Device,
    DeviceSetup,
    DeviceToken,
    EnterpriseCredentials,
    RetryPolicy,
    Token,
)

HOST = "sandbox.crmcarecloud.com"
CREDENTIALS = EnterpriseCredentials(external_application_id="89d1a611", login="fabulous_user", password="word")

#: Variables of the environment that name a project and a user.
ENVIRONMENT = {
    "CARECLOUD_PROJECT_URL": "acme.crmcarecloud.com",
    "CARECLOUD_EXTERNAL_APPLICATION_ID": "89d1a6111b3fb6e74665d948",
    "CARECLOUD_LOGIN": "api_user",
    "CARECLOUD_PASSWORD": "word",
}

DEVICE = DeviceToken(
    external_application_id="81eaeea1",
    device=Device(device_id="1", device_system="OSX", device_name="Test", device_type="iPhone"),
    setup=DeviceSetup(language_id="en", allowed_gps=True, allowed_notifications=False),
)


@attrs.frozen
class KnownUser(AuthProvider):
    """A user of an interface whose token needs no login."""

    interface: str = "enterprise"

    @property
    def identity_key(self):
        return f"known user of {self.interface}"

    async def obtain(self, send, previous):
        return Token("token")


def connect(sandbox, *, host=HOST, **options):
    """Make a client of a sandbox, called in process as its API user unless the options say otherwise."""
    options.setdefault("auth", sandbox.credentials())
    if "http_client" not in options:
        options.setdefault("transport", sandbox.transport())
    return CareCloud(host, **options)


def hand_out_again(sandbox, margin):
    """Let logins at a sandbox return the token of before, until so many seconds before its end."""
    tokens, issue, issued = sandbox.user_tokens, sandbox.user_tokens.issue, []

    def again(user_id, **options):
        if not issued or not tokens.find(issued[-1].value) or issued[-1].ends - sandbox.clock.now() <= margin:
            issued.append(issue(user_id, **options))
        return issued[-1]

    tokens.issue = again


def login_body(token="09359095", *, valid_to="2999-01-01 00:00:00"):
    """The body of the answer to an enterprise login."""
    return json.dumps({"data": {"bearer_token": token, "valid_to": valid_to}}).encode()


def login_answer(token="09359095", *, valid_to="2999-01-01 00:00:00", **options):
    """The answer to an enterprise login."""
    return httpx.Response(200, content=login_body(token, valid_to=valid_to), **options)


def login_answer_at(now):
    """The answer to an enterprise login at a time: with that `Date`, and a token for a week."""
    ends = now + timedelta(days=7)
    return login_answer(valid_to=f"{ends:%Y-%m-%d %H:%M:%S}", headers={"Date": format_datetime(now, usegmt=True)})


def is_login(request):
    """Whether a request is an enterprise login."""
    return request.method == "POST" and request.url.path.endswith("/actions/login")


def data(value, **options):
    """A success with this data."""
    return httpx.Response(200, json={"data": value}, **options)


def listed(key, *records, total=None):
    """The data of a page of a list; without a total it is the whole list."""
    return {key: list(records), "total_items": len(records) if total is None else total}


def page(key, records, total=None, **options):
    """A page of a list; without a total it is the whole list."""
    return data(listed(key, *records, total=total), **options)


def cut(key, records, request):
    """The page of a list of these records that a request asks for."""
    start, count = (int(request.url.params[name]) for name in ("offset", "count"))
    return page(key, records[start : start + count], len(records))


def serving(answer):
    """Make a transport that answers logins, and all other requests by `answer(request)`, plain or a coroutine."""

    async def handle(request):
        if is_login(request):
            return login_answer()
        return await _called(answer, request)

    return httpx.MockTransport(handle)


def served(answer, *, host=HOST, **options):
    """Make a client of a server that `answer(request)` plays, except for its logins."""
    return CareCloud(host, **{"auth": CREDENTIALS, "transport": serving(answer), **options})


class InTurn:
    """Gives its answers in turn, and the last one from then on.

    Args:
        *answers: responses, pairs of a status and a body, and exceptions, which are raised.
        headers: those of the pairs.
    """

    def __init__(self, *answers, headers=None):
        self.answers, self.headers, self.requests = list(answers), headers, []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            answer = httpx.Response(answer[0], content=answer[1], headers=self.headers)
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)


class LostAnswerError(Exception):
    """Raised by a handler that did its work: the caller never hears of it."""


class RefusedError(Exception):
    """Raised by a handler: an error of the API."""

    def __init__(self, status, *params):
        super().__init__(status)
        entries = [{"name": name, "reason": reason} for name, reason in params]
        self.answer = httpx.Response(status, json={"error": {"error_data": {"invalid_params": entries}}})


class ScriptedServer:
    """Answers by handlers, `"POST /cards"` for example; whatever no handler is for is a failure of the test.

    A handler takes the request's body, or a dict of the query of a GET, and returns what is under `data`. It may raise
    `LostAnswerError` or `RefusedError`.
    """

    def __init__(self):
        self.handlers = {}
        self.requests = []

    def on(self, name, handler):
        """Let a handler, or always the same data, answer an operation; `{}` in a path is any id."""
        self.handlers[_pattern(name)] = handler if callable(handler) else lambda sent: handler

    def lose(self, name, *, times=1, status=None):
        """Lose the next answers of an operation, after its handler has done its work.

        With a status the answer is not lost but is an error, as a gateway's 504.
        """
        handler, left = self.handlers[_pattern(name)], times

        def losing(sent):
            nonlocal left
            left -= 1
            if left == 0:
                self.handlers[_pattern(name)] = handler
            handler(sent)
            raise LostAnswerError if status is None else RefusedError(status)

        self.handlers[_pattern(name)] = losing

    def fail_after(self, name, *, status):
        """Lose the next answer of an operation, and refuse every request afterwards."""
        handler = self.handlers[_pattern(name)]

        def refuse(sent):
            raise RefusedError(status)

        def last(sent):
            self.handlers = {".*": refuse}
            handler(sent)
            raise LostAnswerError

        self.handlers[_pattern(name)] = last

    def sent(self, name):
        """All that an operation was sent."""
        return [sent for request, sent in self.requests if re.fullmatch(_pattern(name), request)]

    def client(self, auth=CREDENTIALS, **options):
        """Make a client of it that repeats nothing, an enterprise user's if not told otherwise."""
        return served(
            self.handle, **{"auth": auth, "retry": RetryPolicy(attempts=1), "clock": InstantClock(), **options}
        )

    def handle(self, request):
        name = f"{request.method} {request.url.path.partition('/v1.0')[2]}"
        sent = dict(request.url.params) if request.method == "GET" else json.loads(request.content)
        self.requests.append((name, sent))
        handler = next((handler for pattern, handler in self.handlers.items() if re.fullmatch(pattern, name)), None)
        assert handler is not None, f"unexpected request: {name}"
        try:
            answer = handler(sent)
        except RefusedError as error:
            return error.answer
        except LostAnswerError:
            raise httpx.ReadError("the line was cut", request=request) from None
        return httpx.Response(204) if answer is None else data(answer)


def _pattern(name):
    return re.escape(name).replace(r"\{\}", "[^/]+")


def through(sandbox, before=None, after=None):
    """Make a transport of a sandbox with answers of the test's own.

    Args:
        sandbox: the sandbox, or a transport.
        before: takes each request; what it returns, unless `None`, is the answer in place of the sandbox's.
        after: takes each request and the sandbox's answer, read; what it returns, unless `None`, is the answer.
    """

    class Through(httpx.AsyncBaseTransport):
        inner = sandbox if isinstance(sandbox, httpx.AsyncBaseTransport) else sandbox.transport()

        async def handle_async_request(self, request):
            answer = await _called(before, request)
            if answer is None:
                true = await self.inner.handle_async_request(request)
                await true.aread()
                answer = await _called(after, request, true) or true
            return answer

    return Through()


async def _called(hook, *values):
    answer = None if hook is None else hook(*values)
    return await answer if inspect.isawaitable(answer) else answer


def variables_of(error):
    """The variables in our frames of an error and of what caused it, as their repr shows them, and as rich does."""
    from rich.pretty import pretty_repr

    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            if "/carecloud_async/" in traceback.tb_frame.f_code.co_filename:
                for name, value in traceback.tb_frame.f_locals.items():
                    yield f"{name}={value!r} {pretty_repr(value, max_length=10, max_string=80)}"
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__


async def references(sandbox):
    """The references of points in a sandbox's own ledger, each with how often it is there."""
    async with connect(sandbox) as client:
        ids = [customer.customer_id async for customer in client.customers.list()]
        histories = [client.point_history.list(customer_id=record_id) for record_id in ids]
        notes = [record.point_operation_note or "" for history in histories async for record in history]
    return Counter(re.findall(r"\[ref: (\S+)\]", " ".join(notes)))
