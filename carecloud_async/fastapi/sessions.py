"""The application's own session, turned into a view that acts as its customer."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from fastapi import Depends, HTTPException

from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async.client import CareCloud
from carecloud_async.fastapi.dependencies import carecloud_dep
from carecloud_async.fastapi.lifespan import DEFAULT_NAME


class NoSessionError(HTTPException):
    """No customer is logged in with the application: 401. A portal handles it by showing the login page."""

    def __init__(self) -> None:
        super().__init__(401, detail="not logged in")


class CustomerDependency:
    """Makes the view of one request; see `customer_dep`.

    Args:
        load_session: the application's dependency.
        name: the client's name.
    """

    def __init__(self, load_session: Callable[..., Any], *, name: str) -> None:
        client, session = carecloud_dep(name), load_session
        self.__signature__: Signature = Signature(
            [
                Parameter("carecloud", Parameter.KEYWORD_ONLY, default=Depends(client), annotation=CareCloud),
                Parameter("session", Parameter.KEYWORD_ONLY, default=Depends(session), annotation=Any),
            ]
        )

    async def __call__(self, *, carecloud: CareCloud, session: AuthProvider | None) -> CareCloud:
        """Return the view, or refuse."""
        if session is None:
            raise NoSessionError
        return carecloud.acting_as(session)


def customer_dep(load_session: Callable[..., Any], *, name: str = DEFAULT_NAME) -> CustomerDependency:
    """Return the dependency that acts as the customer of the request.

    ```python
    async def load_session(request: Request) -> AuthProvider | None:
        kept = sessions.get(request.session.get("key"))
        return CustomerSession.resume(token_id=kept.token_id) if kept else None

    Me = Annotated[CareCloud, Depends(customer_dep(load_session))]
    ```
    The view shares the client's pool and is made for each request. The application identifies its sessions (by a
    cookie, a header), and protects itself against request forgery.

    Args:
        load_session: a dependency that returns an identity such as `CustomerSession.resume(…)`; `None` if no customer
            is logged in, which is answered with 401 (`NoSessionError`).
        name: the client's name in `carecloud_lifespan`.
    """
    return CustomerDependency(load_session, name=name)
