"""Secrets and personal data are nowhere: logs at DEBUG, errors and what they hold, reprs, pickles, histories, spans."""

import asyncio
import json
import logging
import pickle
import traceback
from contextlib import asynccontextmanager
from urllib.parse import quote

import anyio
import httpx
import httpx2
import pytest
from attrs import evolve
from auth_tools import credentials, make_sandbox, social_session, sso_credentials
from telemetry import Telemetry
from thorough import variants

from carecloud_async import (
    ApiError,
    CareCloud,
    CareCloudError,
    CustomerInput,
    CustomerSession,
    CustomerSourceInput,
    PersonalInformationInput,
    RetryPolicy,
)

PASSWORD = "Planted-Password-1"
WRONG = "Planted-Wrong-2"
EMAIL = "planted.person@planted.example"
PHONE = "420777123987"
NAME = "Plantedlastname"
PROSE = f"the customer {EMAIL} with {PHONE} exists, token "
SOURCE = "8bed991c68a4"


class Everything(logging.Handler):
    """Keeps all that is said, with what a formatter would make of it and what the records carry along."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.text = []

    def emit(self, record):
        self.text.append(self.format(record))
        self.text.append(repr({name: value for name, value in vars(record).items() if name != "exc_info"}))


@pytest.fixture
def heard():
    """Everything that is logged through the root logger at DEBUG."""
    root = logging.getLogger()
    handler, level = Everything(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.text
    root.removeHandler(handler)
    root.setLevel(level)


def secrets_of(sandbox):
    """What must not be found: the planted, as it is and as a URL has it, and every token that was sent."""
    planted = {PASSWORD, WRONG, EMAIL, quote(EMAIL, safe=""), PHONE, NAME, "planted.person"}
    return planted | {request.token for request in sandbox.requests if request.token}


def everything_of(error):
    """An error, its chain and its arguments, as text."""
    seen, text, queue = set(), [], [error]
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        text += [str(link), repr(link), repr(link.args), "".join(traceback.format_exception(link))]
        queue += [link.__cause__, link.__context__]
        for value in vars(link).values():
            if value not in (getattr(link, "detail", None), getattr(link, "title", None)):
                text.append(repr(value))
    return text


async def attempt(collected, work):
    """Run `work`; keep what its error tells."""
    try:
        await work
    except CareCloudError as error:
        collected += everything_of(error)
        if isinstance(error, ApiError):
            error.detail = error.title = None  # the server's prose is there to be read, and pickles with the rest
        collected.append(pickle.dumps(error).decode("latin-1"))
    except Exception as error:
        raise AssertionError(f"{type(error)} came out") from error


async def live(sandbox, make, collected):
    """Successes and every kind of failure, for a user and for a customer."""
    faults = sandbox.faults
    sandbox.set_password(PASSWORD)
    person = PersonalInformationInput(language_id="en", email=EMAIL, phone=PHONE, last_name=NAME)
    new = CustomerInput(personal_information=person)
    source = CustomerSourceInput(customer_source_id=SOURCE)
    params = [{"name": PROSE, "reason": PROSE, "value": PROSE}]
    refusal = {"detail": PROSE, "title": PROSE, "exception": PROSE, "error_data": {"invalid_params": params}}
    body = json.dumps({"error": refusal})

    async with make(credentials(PASSWORD)) as client:
        collected.append(repr(client) + repr(client.http) + repr(await client.login()))
        search = lambda: client.customers.list(email=EMAIL, last_name=NAME).total()  # noqa: E731
        create = lambda: client.customers.create(new, customer_source=source, password=PASSWORD)  # noqa: E731
        for work in (search, create):
            await attempt(collected, work())
            for fault in (
                {"status": 400, "body": body},
                {"status": 401, "times": 2, "body": body},
                {"status": 401},
                {"status": 403, "body": body},
                {"status": 404, "body": body},
                {"status": 429},
                {"status": 500, "body": body},
                {"status": 503},
                {"status": 302, "headers": {"location": f"https://elsewhere.example/?{EMAIL}"}},
                {"garbage": True},
                {"html": True},
                {"body": '{"result": "ok"}'},
                {"cut": True},
                {"cut": "after"},
                {"cut": "half"},
            ):
                faults.clear()
                faults.add("* /customers", **fault)
                await attempt(collected, work())
            faults.clear()
        await attempt(collected, client.with_options(timeout=0.05).customers.get(EMAIL))
        sandbox.latency = 0.3
        await attempt(collected, client.with_options(timeout=0.05).customers.list(email=EMAIL).total())
        sandbox.latency = 0.0
        await attempt(collected, client.logout())

    for fault in ({"status": 400, "body": body}, {"status": 500, "body": body}, {"cut": True}, {"garbage": True}):
        faults.clear()
        faults.add("POST /users/actions/login", times=None, **fault)
        async with make(credentials(PASSWORD)) as client:
            await attempt(collected, client.ping())
    faults.clear()
    async with make(credentials(WRONG)) as client:
        await attempt(collected, client.ping())

    async with make(sandbox.device()) as portal:
        session = sandbox.customer_session(0)
        mine = portal.acting_as(session)
        state = await mine.login()
        again = CustomerSession.resume(token_id=state.token_id, customer_id=state.customer_id)
        collected.append(repr(state) + repr(session) + repr(again) + repr(mine))
        await attempt(collected, mine.customers.me())
        await attempt(collected, portal.acting_as(again).customers.me())
        await attempt(collected, mine.tokens.auth_token(external_application_id=EMAIL))
        await attempt(collected, portal.acting_as(evolve(session, password=WRONG)).customers.me())
        for fault in ({"status": 401, "body": body}, {"cut": "after"}, {"status": 500, "body": body}):
            faults.add("* /tokens/{token_id}/actions/*", **fault)
            await attempt(collected, mine.login())
            faults.clear()
        sandbox.revoke_all()
        await attempt(collected, portal.acting_as(again).customers.me())
        await attempt(collected, mine.logout())


def assert_nothing_leaked(sandbox, *texts):
    everything = "\n".join("\n".join(text) for text in texts)
    assert len(everything) > 10_000
    tokens = secrets_of(sandbox)
    assert len(tokens) > 10
    for secret in tokens:
        assert secret not in everything, everything[max(everything.index(secret) - 300, 0) :][:600]


def maker(way, url, sandbox, telemetry):
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    @asynccontextmanager
    async def make(auth):
        options = {"retry": RetryPolicy(attempts=2, base=0.01), "rate_limit": None}
        address, http = url, None
        match way:
            case "transport":
                address, options["transport"] = "sandbox.example", sandbox.transport()
            case "transport2":
                address, options["transport"] = "sandbox.example", sandbox.transport(family="httpx2")
            case "httpx":
                options["http_client"] = http = httpx.AsyncClient()
            case "httpx2":
                options["http_client"] = http = httpx2.AsyncClient()
        async with CareCloud(address, auth=auth, **options) as client:
            if way in {"default", "transport", "httpx"}:
                HTTPXClientInstrumentor.instrument_client(client.http, tracer_provider=telemetry.tracer_provider)
            yield client
        if http is not None:
            await http.aclose()

    return make


WAYS = [("default", "asyncio")]
MORE_WAYS = [
    ("default", "trio"),
    *((way, "asyncio") for way in ("transport", "transport2", "httpx", "httpx2")),
    ("httpx2", "trio"),
]


@pytest.mark.parametrize(("way", "backend"), [*WAYS, *variants(*MORE_WAYS)])
def test_nothing_leaks(way, backend, heard):
    """Through successes and every kind of failure, on every way out, a search for what was planted finds nothing."""
    sandbox = make_sandbox()
    collected, telemetry = [], Telemetry()
    with sandbox.running() as url:
        options = {"debug": True} if backend == "asyncio" else {}
        anyio.run(
            live, sandbox, maker(way, url, sandbox, telemetry), collected, backend=backend, backend_options=options
        )
    told = [
        f"{span.name} {dict(span.attributes)} {span.status.description} {[dict(e.attributes) for e in span.events]}"
        for span in telemetry.spans
    ]
    assert bool(told) == (way in {"default", "transport", "httpx"})
    assert_nothing_leaked(sandbox, heard, collected, told)


@pytest.mark.parametrize("family", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_no_login_stands_in_a_history(family):
    """A replayed answer's history holds the refused request alone, and none whose body is a password."""
    sandbox = make_sandbox()
    answers = []

    async def story():
        async def keep(response):
            answers.append(response)

        http = family.AsyncClient(transport=sandbox.transport(family=family.__name__), event_hooks={"response": [keep]})
        async with CareCloud("sandbox.example", auth=sandbox.credentials(), http_client=http) as client:
            await client.ping()
            sandbox.revoke_all()
            await client.ping()
        await http.aclose()

    asyncio.run(story())
    for answer in answers:
        assert all(b"password" not in old.request.content for old in answer.history)
        assert "password_example" not in repr(answer) + repr(answer.request) + repr(answer.request.headers)


def test_reprs_of_identities_hold_no_secret():
    """Passwords, tokens and logins are stars, or not there."""
    sandbox = make_sandbox()
    session = sandbox.customer_session(0)
    social, device = social_session(sandbox), sandbox.device("planted-id")
    shown = " ".join(map(repr, (credentials(PASSWORD), session, social, sso_credentials(), device)))
    tokens = (social.social_network_token, "sandbox-sso-token", "planted-id")
    for secret in (PASSWORD, session.password, session.login_value, *tokens):
        assert secret not in shown
