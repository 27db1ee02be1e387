"""Customers on one application: each sees only itself."""

from typing import Annotated

import anyio
import pytest
from fastapi import Depends, FastAPI, Header

from carecloud_async import CareCloud, CustomerSession, SessionExpiredError
from carecloud_async.fastapi import carecloud_lifespan, customer_dep, install_error_handlers
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL

pytestmark = pytest.mark.anyio


def portal_app(make, kept):
    """A portal whose clients send the key of their session in a header."""

    async def load_session(key: Annotated[str | None, Header()] = None) -> CustomerSession | None:
        state = kept.get(key)
        return CustomerSession.resume(token_id=state.token_id, customer_id=state.customer_id) if state else None

    app = FastAPI(lifespan=carecloud_lifespan(make))
    install_error_handlers(app)
    me = Annotated[CareCloud, Depends(customer_dep(load_session))]

    @app.get("/me")
    async def show(mine: me) -> str | None:
        return (await mine.customers.me()).customer_id

    @app.get("/twice")
    async def twice(mine: me) -> list[str | None]:
        return [(await mine.customers.me()).customer_id for _ in range(2)]

    return app


@pytest.fixture
def kept():
    return {}


@pytest.fixture
def app(sandbox, make, kept):
    return portal_app(lambda: make(auth=sandbox.device()), kept)


async def log_in(sandbox, make, kept, index=0):
    state = await make(auth=sandbox.device()).acting_as(sandbox.customer_session(index)).login()
    kept[str(index)] = state
    return state


async def test_a_logged_in_customer(sandbox, make, app, kept, enter):
    """The application's session becomes a view that acts as its customer, whoever calls at the same time."""
    sandbox.latency = 0.002
    for index in range(10):
        await log_in(sandbox, make, kept, index)
    seen = []
    async with enter(app) as http, anyio.create_task_group() as tasks:

        async def show(index):
            answer = await http.get("/twice", headers={"key": str(index)})
            seen.append(answer.json() == [kept[str(index)].customer_id] * 2 == [sandbox.customers.id_at(index)] * 2)

        for index in [*range(10)] * 3:
            tasks.start_soon(show, index)
    assert seen == [True] * 30


async def test_without_a_login(app, enter, sandbox):
    """Without a session the answer is 401, and nothing is asked of the project."""
    async with enter(app) as http:
        answer = await http.get("/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_logged_in")
    assert answer.headers["content-type"] == "application/problem+json"
    assert sandbox.count() == 0


async def test_without_a_login_and_without_our_handlers(make, enter):
    """Without our error handlers it is FastAPI's own 401."""
    app = FastAPI(lifespan=carecloud_lifespan(make))

    @app.get("/me")
    async def show(mine: Annotated[CareCloud, Depends(customer_dep(lambda: None))]) -> None: ...

    async with enter(app) as http:
        answer = await http.get("/me")
    assert (answer.status_code, answer.json()) == (401, {"detail": "not logged in"})


async def test_a_session_that_was_revoked(sandbox, make, app, kept, enter):
    """A resumed session that the server no longer takes is `SessionExpiredError`, and 401; others go on."""
    state = await log_in(sandbox, make, kept, 0)
    await log_in(sandbox, make, kept, 1)
    sandbox.revoke(state.token_id)
    with pytest.raises(SessionExpiredError):
        await make(auth=sandbox.device()).acting_as(CustomerSession.resume(token_id=state.token_id)).customers.me()
    async with enter(app) as http:
        answer = await http.get("/me", headers={"key": "0"})
        assert (answer.status_code, answer.json()["code"]) == (401, "session_expired")
        assert state.token_id not in answer.text
        assert (await http.get("/twice", headers={"key": "1"})).status_code == 200


async def test_a_wrong_password(sandbox, make, enter):
    """A customer's own credentials that are refused are a 401, unlike the application's."""
    app = FastAPI(lifespan=carecloud_lifespan(lambda: make(auth=sandbox.device())))
    install_error_handlers(app)

    async def load_session() -> CustomerSession:
        return CustomerSession(sandbox.device(), login_type="email", login_value=FIRST_CUSTOMER_EMAIL, password="wrong")

    @app.get("/me")
    async def show(mine: Annotated[CareCloud, Depends(customer_dep(load_session))]) -> str | None:
        return (await mine.customers.me()).customer_id

    async with enter(app) as http:
        answer = await http.get("/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "login_refused")


async def test_unauthorized_is_declared(app, enter):
    """401 is in the OpenAPI document of what acts as a customer."""
    async with enter(app) as http:
        document = (await http.get("/openapi.json")).json()
    assert "application/problem+json" in document["paths"]["/me"]["get"]["responses"]["401"]["content"]
