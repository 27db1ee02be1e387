"""A customer portal: log in, see the profile, log out. Plain HTML, works without JavaScript.

Run it in this directory:

    CARECLOUD_PROJECT_URL=… CARECLOUD_CUSTOMER_APPLICATION_ID=… PORTAL_SECRET=… uvicorn app:create_app --factory

PORTAL_COOKIE=insecure lets the cookie travel over plain HTTP, for a trial on your own machine.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from sessions import Sessions
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware
from tries import Tries

from carecloud_async import (
    AuthenticationError,
    CareCloud,
    CareCloudError,
    ConfigurationError,
    CustomerSession,
    Device,
    DeviceSetup,
    DeviceToken,
    ResumedSession,
    SessionExpiredError,
)
from carecloud_async.fastapi import CareCloudDep, NoSessionError, carecloud_lifespan, customer_dep, problem_of

HERE = Path(__file__).parent
SESSION_SECONDS = 8 * 3600
#: Refused passwords of one e-mail address or from one network address, in how many seconds.
MOST_TRIES, TRIES_SECONDS = 5, 300
#: No other site may frame these pages, nothing is loaded from elsewhere, and other sites do not learn our addresses.
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

logging.basicConfig(level=logging.INFO)  # uvicorn shows no logs of libraries
templates = Jinja2Templates(HERE / "templates")
log = logging.getLogger("portal")


# CareCloud


def setting(name: str) -> str:
    """Return a variable of the environment, which must be set."""
    if not os.environ.get(name):
        raise ConfigurationError(f"set {name} in the environment")
    return os.environ[name]


def new_device() -> DeviceToken:
    """Make a device with a random id: one for this worker, and one for each login, which binds it to the customer."""
    return DeviceToken(
        external_application_id=setting("CARECLOUD_CUSTOMER_APPLICATION_ID"),
        device=Device(device_system="web", device_name="Customer portal", device_type="browser"),
        setup=DeviceSetup(language_id="en", allowed_gps=False, allowed_notifications=False),
    )


def connect() -> CareCloud:
    """Make the client: one pool for all customers."""
    return CareCloud.from_env(auth=new_device(), timeout=10)


# The browser's session: the cookie holds a random key and nothing else, signed by Starlette's middleware.


def session_key(request: Request) -> str:
    """Return the browser's key, a new one on its first visit."""
    return str(request.session.setdefault("key", secrets.token_urlsafe(32)))


def sessions_of(request: Request) -> Sessions:
    """Return the store of this application."""
    sessions: Sessions = request.app.state.sessions
    return sessions


async def load_session(request: Request) -> ResumedSession | None:
    """Return the customer's login, if there is one under the browser's key."""
    login = await sessions_of(request).get(request.session.get("key", ""))
    if login is None:
        return None
    return CustomerSession.resume(token_id=login.token_id, customer_id=login.customer_id)


async def end_session(request: Request) -> None:
    """Forget the login and the key."""
    await sessions_of(request).remove(request.session.pop("key", ""))


# Forged requests: each form contains a digest of the browser's key. Another site can neither read nor make it.


def form_token(request: Request) -> str:
    """Return the token that each form of this browser must contain."""
    secret: str = request.app.state.secret
    return hmac.new(secret.encode(), session_key(request).encode(), hashlib.sha256).hexdigest()


async def own_form(request: Request, form_token_: Annotated[str, Form(alias="form_token")] = "") -> None:
    """Refuse a form that this application did not make."""
    if not hmac.compare_digest(form_token(request).encode(), form_token_.encode()):
        raise HTTPException(403, detail="this form is too old: go back, reload the page and try again")


Me = Annotated[CareCloud, Depends(customer_dep(load_session))]
OwnForm = Depends(own_form)


# Pages


def page(request: Request, name: str, *, status: int = 200, **context: object) -> HTMLResponse:
    """Render a page that no cache keeps: after the logout the back button shows nothing."""
    context |= {"form_token": form_token(request)}
    return templates.TemplateResponse(
        request, f"{name}.html", context, status_code=status, headers={"Cache-Control": "no-store"}
    )


async def home() -> Response:
    """Send the browser to the profile."""
    return RedirectResponse("/profile", status_code=303)


async def login_page(request: Request, ended: bool = False) -> Response:
    """Show the login page."""
    notice = "You have been logged out. Please log in again." if ended else None
    return page(request, "login", notice=notice)


async def log_in(
    request: Request, carecloud: CareCloudDep, email: Annotated[str, Form()] = "", password: Annotated[str, Form()] = ""
) -> Response:
    """Log the customer in, and give the browser a new key: another person may know the old one."""
    email = email.strip()
    if not email or not password.strip():
        return page(request, "login", status=422, error="Enter your e-mail and your password.", email=email)
    tries: Tries = request.app.state.tries
    keys = [f"email:{email.casefold()}", f"address:{request.client.host if request.client else ''}"]
    if seconds := tries.wait(keys):
        answer = page(request, "login", status=429, error="Too many tries. Please wait a few minutes.", email=email)
        answer.headers["Retry-After"] = str(math.ceil(seconds))
        return answer
    tries.begin(keys)
    identity = CustomerSession(new_device(), login_type="email", login_value=email, password=password)
    try:
        login = await carecloud.acting_as(identity).login()
    except CareCloudError as error:
        if not (isinstance(error, AuthenticationError) and error.login_refused):
            tries.forget_last(keys)  # an outage, or the portal's own credentials: no password was refused
            raise
        return page(request, "login", status=401, error="The e-mail or the password is wrong.", email=email)
    tries.succeed(*keys)
    await end_session(request)
    await sessions_of(request).put(session_key(request), login)
    return RedirectResponse("/profile", status_code=303)


async def profile(request: Request, mine: Me) -> Response:
    """Show customers their own record."""
    return page(request, "profile", customer=await mine.customers.me())


async def log_out(request: Request) -> Response:
    """End the session here and at CareCloud."""
    identity = await load_session(request)
    client: CareCloud = request.state.carecloud_default
    await end_session(request)
    if identity is not None:
        await client.acting_as(identity).logout()
    return RedirectResponse("/login", status_code=303)


async def to_login(request: Request, error: Exception) -> Response:
    """Lead a browser without a session, or with one that ended at CareCloud, to the login page."""
    ended = isinstance(error, SessionExpiredError)
    await end_session(request)
    return RedirectResponse("/login?ended=true" if ended else "/login", status_code=303)


async def failed(request: Request, error: Exception) -> Response:
    """Show that the failure is not the customer's, and log the reason."""
    log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    status = problem_of(error).status if isinstance(error, CareCloudError) else 500
    return page(request, "failed", status=status)


async def with_safe_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Add the security headers to each answer."""
    response = await call_next(request)
    response.headers.update(SAFE_HEADERS)
    return response


def create_app() -> FastAPI:
    """Make the application."""
    app = FastAPI(title="Customer portal", lifespan=carecloud_lifespan(connect), openapi_url=None)
    app.state.secret = setting("PORTAL_SECRET")
    app.state.sessions = Sessions(seconds=SESSION_SECONDS)
    app.state.tries = Tries(most=MOST_TRIES, seconds=TRIES_SECONDS)
    app.middleware("http")(with_safe_headers)
    app.add_middleware(
        SessionMiddleware,
        secret_key=app.state.secret,
        session_cookie="portal",
        max_age=SESSION_SECONDS,
        same_site="lax",
        https_only=os.environ.get("PORTAL_COOKIE") != "insecure",
    )
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    app.add_api_route("/", home)
    app.add_api_route("/login", login_page)
    app.add_api_route("/login", log_in, methods=["POST"], dependencies=[OwnForm])
    app.add_api_route("/profile", profile)
    app.add_api_route("/logout", log_out, methods=["POST"], dependencies=[OwnForm])
    app.add_exception_handler(NoSessionError, to_login)
    app.add_exception_handler(SessionExpiredError, to_login)
    app.add_exception_handler(CareCloudError, failed)
    return app
