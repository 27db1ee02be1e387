"""Settings of a client from dlt's configuration: `secrets.toml`, `config.toml`, its variables and vaults.

```toml
[sources.carecloud]
project_url = "acme.crmcarecloud.com"
external_application_id = "89d1a6111b3fb6e74665d948"
login = "api_user"
password = "…"
```

What is not there comes from a profile and the `CARECLOUD_*` variables, as for `CareCloud.from_env`.
"""

from __future__ import annotations

from typing import Final

import dlt

from carecloud_async._calls.auth.stores import TokenStore
from carecloud_async.client import CareCloud
from carecloud_async.config import from_environment
from carecloud_async.environment import Environment

__all__ = ["client_of_settings"]

_SETTINGS: Final = ("project_url", "external_application_id", "login", "password", "timezone", "language")


def client_of_settings(section: str, *, token_store: TokenStore) -> CareCloud:
    """Make a client.

    Args:
        section: the section of dlt's configuration, such as `sources.carecloud`; one `credentials` in it is read too.
        token_store: keeps the token.

    Raises:
        ConfigurationError: a setting is missing or wrong; the message names it.
    """
    given = {name: _find(f"{section}.credentials.{name}") or _find(f"{section}.{name}") for name in _SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    environment = Environment.read().with_settings(settings)
    return CareCloud(**from_environment({"token_store": token_store}, environment=environment))


def _find(key: str) -> str | None:
    # A plain `str` would be no secret to dlt, which keeps the values that it resolved in the trace of each run.
    secret: object = dlt.secrets.get(key)  # pyright: ignore[reportArgumentType]  (dlt's own default is `None`)
    value = secret or dlt.config.get(key, str)
    return None if value is None else str(value).rstrip("\r\n")  # a mounted file ends with one
