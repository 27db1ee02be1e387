"""A made-up CareCloud for tests and first steps: `from carecloud_async.sandbox import Sandbox`.

It implements the protocol by itself and imports nothing of the client, so that each can be tested against the other.
"""

from __future__ import annotations

try:
    import starlette  # noqa: F401  (checked here, to name the extra)
    import uvicorn  # noqa: F401  (the extra fastapi brings Starlette alone)
except ImportError as _error:
    raise ModuleNotFoundError(
        "carecloud_async.sandbox needs the extra sandbox: pip install 'carecloud-async[sandbox]'", name=_error.name
    ) from _error

from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    CUSTOMER_PASSWORD,
    CUSTOMER_SOURCE_IDS,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
    OTHER_CUSTOMER_APPLICATION_ID,
    REFERRAL_CODE,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
    SSO_TOKEN,
    USER_APPLICATION_ID,
    USER_AUTH_TOKEN,
    USER_ID,
    USER_LOGIN,
    USER_PASSWORD,
)
from carecloud_async.sandbox.sandbox import Sandbox
from carecloud_async.sandbox.server.faults import ArmedFault, Faults
from carecloud_async.sandbox.server.recording import RecordedRequest
from carecloud_async.sandbox.state.customers import Account, CustomerStore
from carecloud_async.sandbox.state.table import Table

__all__ = [
    "CUSTOMER_APPLICATION_ID",
    "CUSTOMER_PASSWORD",
    "CUSTOMER_SOURCE_IDS",
    "FIRST_CUSTOMER_EMAIL",
    "FIRST_CUSTOMER_ID",
    "OTHER_CUSTOMER_APPLICATION_ID",
    "REFERRAL_CODE",
    "SOCIAL_NETWORK_IDS",
    "SOCIAL_TOKEN_PREFIX",
    "SSO_TOKEN",
    "USER_APPLICATION_ID",
    "USER_AUTH_TOKEN",
    "USER_ID",
    "USER_LOGIN",
    "USER_PASSWORD",
    "Account",
    "ArmedFault",
    "CustomerStore",
    "Faults",
    "RecordedRequest",
    "Sandbox",
    "Table",
]
