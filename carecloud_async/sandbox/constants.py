"""Application ids, logins, passwords and tokens that the sandbox knows.

Nothing here is secret: the sandbox is made up from end to end.
"""

from __future__ import annotations

from typing import Final

USER_APPLICATION_ID: Final = "89d1a6111b3fb6e74665d948"
"""External application id of the enterprise login (`user_external_application_id`)."""

USER_LOGIN: Final = "fabulous_user"
"""Login name of the API user."""

USER_PASSWORD: Final = "password_example"  # noqa: S105 - made up
"""Password of the API user."""

USER_ID: Final = "838b73aacb5ac326cec4030c80"
"""Id of the API user."""

SSO_TOKEN: Final = "sandbox-sso-token"  # noqa: S105 - made up
"""A single sign-on token that logs the API user in (`POST /users/actions/sso-login`)."""

USER_AUTH_TOKEN: Final = "95d22b814d9495b4e723e7a17ee104319"  # noqa: S105 - made up
"""A token that `POST /users/actions/verify-auth-token` recognises as the API user's."""

CUSTOMER_APPLICATION_ID: Final = "81eaeea13b8984a169c490a325"
"""External application id of device tokens (`external_application_id`)."""

OTHER_CUSTOMER_APPLICATION_ID: Final = "82de12eb8b138791e678fd11c3"
"""A second application, the goal of `GET /tokens/{token_id}/actions/auth-token`."""

APPLICATION_IDS: Final = (CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID, "8bed991c68a470e7aaeffbf048")
"""All applications of customers; an example of the description names the last one."""

CUSTOMER_PASSWORD: Final = "Correct-Horse-7"  # noqa: S105 - made up
"""Password of every seeded customer."""

FIRST_CUSTOMER_ID: Final = "8ea6abece4cd0a4ded0a29f093"
"""Id of the first seeded customer, the John Smith of the vendor's quickstart."""

FIRST_CUSTOMER_EMAIL: Final = "john.smith@example.com"
"""E-mail of the first seeded customer."""

SOCIAL_NETWORK_IDS: Final = ("facebook", "twitter", "instagram")
"""Social networks that the sandbox knows; all seeded customers use the first."""

SOCIAL_TOKEN_PREFIX: Final = "social-token-of-"  # noqa: S105 - made up
"""A seeded customer's token at the first social network: this, then the customer id."""

CUSTOMER_SOURCE_IDS: Final = ("86e05affc7a7abefcd513ab400", "8fdce3475560d56e95a6ab035", "8fd73167342d06899c4c015320")
"""Customer sources that the sandbox knows (`customer_source_id`)."""

REFERRAL_CODE: Final = "FRIEND2024"
"""The one referral code that `POST /customers` accepts."""
