"""The enterprise users of the sandbox: the API user, and colleagues to fill a list with."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.constants import USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject

ROLE_IDS: Final = ("86e05affc7a7befcd513ab400", "89ce2a1b9b01f5c939fb1e20cd")
DEFAULT_USERS: Final = 137


def api_user() -> JsonObject:
    """The API user in the form of the quickstart: a numeric phone and one role."""
    return {
        "user_id": USER_ID,
        "login": USER_LOGIN,
        "first_name": "Fabulous",
        "last_name": "Legend",
        "email": "fabulous.user@example.com",
        "phone": 420123828931,
        "user_role_id": ROLE_IDS[0],
        "store_id": "86e05affc7a7abecd513ab400",
    }


def user_id(number: int) -> str:
    """The id of a user; number 0 is the API user."""
    return f"838b73aacb5ac326cec4{number:06x}" if number else USER_ID


def user(number: int) -> JsonObject:
    """A user; number 0 is the API user, and the colleagues have the form of the OpenAPI description."""
    if number == 0:
        return api_user()
    return {
        "user_id": user_id(number),
        "login": f"colleague_{number}",
        "first_name": ("Happy", "Žaneta", "Łucja")[number % 3],
        "last_name": ("User", "Nováková", "Smith")[number % 3],
        "email": f"colleague.{number}@example.com" if number % 10 else "",
        "phone": str(420700000000 + number) if number % 7 else None,
        "user_role_ids": list(ROLE_IDS[: number % 3]),
        "store_id": "86e05affc7a7abecd513ab400",
        "last_login": "2021-04-16 18:22:35.052987" if number % 5 else "0000-00-00 00:00:00",
    }
