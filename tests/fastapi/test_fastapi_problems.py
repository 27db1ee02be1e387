"""Errors as problem documents: their status, and what they reveal."""

import json
import pickle

import pytest
from every import every
from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse

from carecloud_async import Customer, CustomerInput, CustomerSourceInput, PersonalInformationInput, errors
from carecloud_async.bulk import errors as bulk_errors
from carecloud_async.fastapi import (
    CareCloudDep,
    OutboxDep,
    carecloud_lifespan,
    install_error_handlers,
    outbox_lifespan,
    problem_of,
)
from carecloud_async.outbox import KeyInUseError, NotForOutboxError, OutboxError, OutboxInUseError
from carecloud_async.outbox import errors as outbox_errors
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID

pytestmark = pytest.mark.anyio

LOGIN = "/tokens/{token_id}/actions/login"


def api_error(kind, status, path="/customers", **more):
    return kind(status=status, method="GET", path=path, detail="Secret prose about Jan Novák", title="Secret", **more)


CASES = [
    (api_error(errors.NotFoundError, 404), 404, "not_found"),
    (api_error(errors.BadRequestError, 400), 422, "invalid_request"),
    (api_error(errors.SessionExpiredError, 401), 401, "session_expired"),
    (api_error(errors.AuthenticationError, 401), 502, "upstream_failed"),
    (api_error(errors.AuthenticationError, 403, "/users/actions/login"), 502, "upstream_failed"),
    (api_error(errors.AuthenticationError, 401, LOGIN), 401, "login_refused"),
    (api_error(errors.PermissionDeniedError, 403), 502, "upstream_failed"),
    (api_error(errors.MethodNotAllowedError, 405), 502, "upstream_failed"),
    (api_error(errors.RateLimitError, 429), 503, "upstream_busy"),
    (api_error(errors.ServerError, 500), 502, "upstream_failed"),
    (api_error(errors.ServerError, 503), 503, "unavailable"),
    (api_error(errors.ServerError, 504), 504, "upstream_timeout"),
    (api_error(errors.ApiError, 418), 502, "upstream_failed"),
    (errors.RequestTimeoutError("x"), 504, "upstream_timeout"),
    (errors.OutcomeUnknownError("x"), 504, "outcome_unknown"),
    (errors.ConnectionFailedError("x"), 502, "upstream_failed"),
    (errors.ResponseError("x"), 502, "upstream_failed"),
    (errors.TokenStoreError("redis://secret"), 503, "unavailable"),
    (errors.ClientClosedError("x"), 503, "unavailable"),
    (errors.DeviceTokenConflictError("x"), 502, "upstream_failed"),
    (errors.ConflictError("x", fields=("personal_information.email",)), 409, "conflict"),
    (errors.ConfigurationError("x"), 500, "internal_error"),
    (errors.InterfaceError("x"), 500, "internal_error"),
    (errors.ReadOnlyError("x"), 500, "internal_error"),
    (errors.WrongEventLoopError("x"), 500, "internal_error"),
    (errors.ExportError("x"), 500, "internal_error"),
    (KeyInUseError("secret"), 409, "key_in_use"),
    (NotForOutboxError("secret"), 500, "internal_error"),
    (OutboxError("secret"), 500, "internal_error"),
    (OutboxInUseError("secret"), 500, "internal_error"),
    (bulk_errors.BulkWriteError("secret"), 500, "internal_error"),
    (bulk_errors.BadSourceError("secret"), 500, "internal_error"),
    (bulk_errors.UnknownColumnError("secret"), 500, "internal_error"),
    (bulk_errors.TooManyRefusedError("secret"), 500, "internal_error"),
]


@every("error, status, code", CASES, ids=lambda value: type(value).__name__)
def test_the_table(error, status, code):
    """Each error of the SDK has its status and code, and reveals nothing of its text."""
    problem = problem_of(pickle.loads(pickle.dumps(error)))
    assert (problem.status, problem.code) == (status, code)
    body = json.dumps(problem.body())
    assert not any(word in body for word in ("ecret", "Novák", "customers", "redis"))
    assert ("Retry-After" in problem.headers()) == (status == 503)


@every("asked, told", [(None, "5"), (0, "1"), (0.2, "1"), (17.4, "18"), (120, "120")])
def test_retry_after(asked, told):
    """CareCloud's `Retry-After` is passed on in whole seconds; without it there is a default."""
    error = api_error(errors.RateLimitError, 429, retry_after=asked)
    assert problem_of(error).headers()["Retry-After"] == told


def test_every_error_is_in_the_table():
    """No error of the SDK is forgotten."""
    known = {type(error) for error, _, _ in CASES}
    modules = (errors, bulk_errors, outbox_errors)
    values = [value for module in modules for value in vars(module).values()]
    every = {value for value in values if isinstance(value, type) and issubclass(value, errors.CareCloudError)}
    assert every - known == {errors.CareCloudError, errors.TransportError}


@pytest.fixture
def app(make):
    app = FastAPI(lifespan=carecloud_lifespan(make))

    @app.get("/customers/{customer_id}")
    async def show(customer_id: str, carecloud: CareCloudDep) -> Customer:
        return await carecloud.customers.get(customer_id)

    @app.post("/customers")
    async def create(email: str, carecloud: CareCloudDep) -> str:
        person = PersonalInformationInput(email=email, language_id="en")
        source = CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0])
        return await carecloud.customers.create(CustomerInput(personal_information=person), customer_source=source)

    @app.get("/plain")
    async def plain() -> int:
        return 1

    install_error_handlers(app)
    return app


@pytest.mark.parametrize("path", ["%20", "%2E%2E"])
async def test_an_id_that_cannot_be_one(app, enter, path):
    """A browser's text that no path can hold is the id of no record: 404, and nothing is sent."""
    async with enter(app) as http:
        answer = await http.get(f"/customers/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_unknown_record(app, enter):
    """An unknown record is 404 as `application/problem+json`, not to be cached, with the id of the call in our log."""
    async with enter(app) as http:
        answer = await http.get("/customers/nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert len(body.pop("correlation_id")) == 16
    assert body == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "There is no such record.",
    }


async def test_refused_input(app, enter):
    """Refused input is 422 with names and reasons, and without the values."""
    async with enter(app) as http:
        answer = await http.post("/customers", params={"email": FIRST_CUSTOMER_EMAIL})
    assert answer.status_code == 422
    assert [entry["reason"] for entry in answer.json()["errors"]] == ["already_exists"]
    assert set(answer.json()["errors"][0]) == {"name", "reason"}
    assert FIRST_CUSTOMER_EMAIL not in answer.text


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        ({"status": 429, "retry_after": 7}, 503, "7"),
        ({"status": 503}, 503, "5"),
        ({"status": 500}, 502, None),
        ({"status": 403}, 502, None),
        ({"garbage": True}, 502, None),
        ({"html": True}, 502, None),
        ({"cut": True}, 502, None),
        ({"delay": 2}, 504, None),
    ],
    ids=str,
)
async def test_faults_of_the_server_behind(sandbox, make, enter, app, fault, status, retry_after, caplog):
    """A failure of CareCloud is answered by the table, with the call's id, and logged with the route's template."""
    app.router.lifespan_context = carecloud_lifespan(lambda: make(timeout=0.2 if "delay" in fault else 60))
    sandbox.faults.add("GET /customers/{customer_id}", **fault)
    async with enter(app) as http:
        answer = await http.get("/customers/8ea6abece4cd0a4ded0a29f093")
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers.get("retry-after") == retry_after
    assert len(answer.json()["correlation_id"]) == 16
    ours = [record.getMessage() for record in caplog.records if record.name == "carecloud_async.fastapi"]
    assert [line.partition(":")[0] for line in ours] == [f"GET /customers/{{customer_id}} answers {status}"]


async def test_our_own_credentials_are_refused(sandbox, app, enter):
    """If the application's own credentials are refused, its clients do not get a 401."""
    sandbox.set_password("another")
    async with enter(app) as http:
        answer = await http.get("/customers/x")
    assert answer.status_code == 502
    assert "login" not in answer.text


@pytest.mark.parametrize(
    "fault", [{"cut": "after"}, {"status": 503, "worked": True, "retry_after": 7}, {"garbage": True}], ids=str
)
async def test_a_lost_write(sandbox, app, enter, fault):
    """A lost answer, a 5xx or an unreadable answer to a write says that it may have happened, and not to ask again."""
    sandbox.faults.add("POST /customers", **fault)
    async with enter(app) as http:
        answer = await http.post("/customers", params={"email": "new@example.com"})
    assert (answer.status_code, answer.json()["code"]) == (504, "outcome_unknown")
    assert "retry-after" not in answer.headers


async def test_a_key_that_an_outbox_holds(sandbox, make, enter, tmp_path, monkeypatch):
    """Another call with a key that waits is 409, and says to use another key; the same call again is stored once."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sandbox.faults.add("GET /point-history", status=503, times=None)  # so that the first call waits
    app = FastAPI(lifespan=carecloud_lifespan(make, lifespan=outbox_lifespan(tmp_path / "shop.db")))
    install_error_handlers(app)

    @app.post("/paid/{order}")
    async def paid(order: str, amount: float, carecloud: CareCloudDep, outbox: OutboxDep) -> int:
        points = {"customer_id": FIRST_CUSTOMER_ID, "amount": amount, "reference": order}
        return await outbox.put(carecloud.points.assign_points, **points)

    async with enter(app) as http:
        first, again, other = [await http.post("/paid/B1", params={"amount": amount}) for amount in (5, 5, 7)]
    assert (first.status_code, again.json()) == (200, first.json())
    assert (other.status_code, other.json()["code"]) == (409, "key_in_use")
    assert other.json()["detail"].endswith("use another key.")


async def test_a_bulk_write_whose_claims_cannot_be_used(make, enter, tmp_path, monkeypatch, caplog):
    """A bulk write that the service's own disk stops is 500 with a traceback in the log: CareCloud did not fail."""
    (tmp_path / "state").write_text("a file where the folder of the claims should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    app = FastAPI(lifespan=carecloud_lifespan(make))
    install_error_handlers(app)

    @app.post("/newsletter")
    async def newsletter(email: str, carecloud: CareCloudDep) -> None:
        async with carecloud.customers.bulk_writer(match="email") as writer:
            await writer.write({"personal_information.email": email})

    async with enter(app) as http:
        answer = await http.post("/newsletter", params={"email": FIRST_CUSTOMER_EMAIL})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert str(tmp_path) not in answer.text
    assert [bool(record.exc_info) for record in caplog.records if record.name == "carecloud_async.fastapi"] == [True]


async def test_own_handlers_win(app, enter):
    """A handler of the application's own for one of the errors goes before ours; other exceptions are not touched."""

    @app.exception_handler(errors.NotFoundError)
    async def own(request, error):
        return PlainTextResponse("mine", status_code=410)

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418)

    async with enter(app) as http:
        assert (await http.get("/customers/nobody")).status_code == 410
        assert (await http.get("/teapot")).headers["content-type"] == "application/json"


async def test_the_openapi_document(app, enter):
    """Problems are declared on the operations that use a client, in addition to FastAPI's own, in any order."""

    @app.get("/late/{customer_id}", responses={404: {"description": "Mine"}})
    async def late(customer_id: str, carecloud: CareCloudDep) -> None: ...

    async with enter(app) as http:
        first, second = [(await http.get("/openapi.json")).json() for _ in range(2)]
    assert first == second
    assert first["components"]["schemas"]["CareCloudProblem"]["required"][-2:] == ["code", "detail"]
    show = first["paths"]["/customers/{customer_id}"]["get"]["responses"]
    assert set(show) == {"200", "404", "422", "500", "502", "503", "504"}
    assert set(show["422"]["content"]) == {"application/json", "application/problem+json"}
    reference = {"schema": {"$ref": "#/components/schemas/CareCloudProblem"}}
    assert show["404"]["content"] == {"application/problem+json": reference}
    answer = first["paths"]["/late/{customer_id}"]["get"]["responses"]["404"]
    assert answer == {"description": "Mine", "content": {"application/problem+json": reference}}
    assert set(first["paths"]["/plain"]["get"]["responses"]) == {"200"}


async def test_the_openapi_document_of_a_login_route(make, enter):
    """A route that takes a body may log a customer in or write, and declares 401 and 409; one that reads does not."""
    app = FastAPI(lifespan=carecloud_lifespan(make))
    install_error_handlers(app)

    @app.post("/login")
    async def log_in(carecloud: CareCloudDep, email: str, password: str) -> None: ...

    @app.get("/total")
    async def total(carecloud: CareCloudDep) -> int: ...

    async with enter(app) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
    assert "application/problem+json" in paths["/login"]["post"]["responses"]["401"]["content"]
    assert "401" not in paths["/total"]["get"]["responses"]
    assert "application/problem+json" in paths["/login"]["post"]["responses"]["409"]["content"]
    assert "409" not in paths["/total"]["get"]["responses"]
