"""The enterprise users of the sandbox: the API user, and colleagues to fill a list with."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.constants import USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject

SORT_FIELDS: Final = ("user_id", "login", "first_name", "last_name", "email", "phone", "store_id", "last_login")
FILTERS: Final = ("email", "phone", "login", "first_name", "last_name", "store_id")
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


def all_users(count: int = DEFAULT_USERS) -> list[JsonObject]:
    """Every user; the colleagues have the form of the OpenAPI description.

    Args:
        count: Number of users, the API user included, who is always there.
    """
    return [api_user(), *(_colleague(number) for number in range(1, count))]


def _colleague(number: int) -> JsonObject:
    return {
        "user_id": f"838b73aacb5ac326cec4{number:06x}",
        "login": f"colleague_{number}",
        "first_name": ("Happy", "Žaneta", "Łucja")[number % 3],
        "last_name": ("User", "Nováková", "Smith")[number % 3],
        "email": f"colleague.{number}@example.com" if number % 10 else "",
        "phone": str(420700000000 + number) if number % 7 else None,
        "user_role_ids": list(ROLE_IDS[: number % 3]),
        "store_id": "86e05affc7a7abecd513ab400",
        "last_login": "2021-04-16 18:22:35.052987" if number % 5 else "0000-00-00 00:00:00",
    }
