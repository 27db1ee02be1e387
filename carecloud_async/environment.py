"""Settings from outside the program: the `CARECLOUD_*` variables, files that they name, and profiles.

A secret may stand in a file, as containers mount them: `CARECLOUD_PASSWORD_FILE` in place of `CARECLOUD_PASSWORD`. A
profile is a table of `config.toml`; its values win over the variables, which may be those of another project:

```toml
[profiles.acme]
project_url = "acme.crmcarecloud.com"
external_application_id = "89d1a6111b3fb6e74665d948"
login = "api_user"
password_file = "/run/secrets/carecloud"
```
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from attrs import evolve, field, frozen

from carecloud_async._base.runtime.durable_files import config_folder, is_private
from carecloud_async._base.runtime.suggestions import did_you_mean
from carecloud_async._calls.auth.secret import masked
from carecloud_async.errors import ConfigurationError

__all__ = ["Environment", "SecretFile", "variable_of"]

#: Settings that a variable or a profile may give, and those of them that a file may hold.
_SETTINGS: Final = ("project_url", "external_application_id", "login", "password", "timezone", "language", "redis_url")
_IN_FILES: Final = ("external_application_id", "login", "password", "redis_url")
#: Settings that are on or off, and how a variable says so.
_FLAGS: Final = ("read_only",)
_WORDS: Final = {**dict.fromkeys(("1", "true", "yes", "on"), True), **dict.fromkeys(("0", "false", "no", "off"), False)}
_PROFILE_NAMES: Final = (*_SETTINGS, *_FLAGS, *(f"{name}_file" for name in _IN_FILES))
#: A secret is a line. A larger file is another one.
_LARGEST_SECRET: Final = 64 * 1024


def variable_of(setting: str) -> str:
    """Return the variable that gives a setting: `CARECLOUD_PROJECT_URL` for `project_url`."""
    return f"CARECLOUD_{setting.upper()}"


@frozen
class SecretFile:
    """A file that holds one secret. Called, it returns the text as it is now, without spaces around it.

    Attributes:
        path: the file.
        named_by: the variable or the line of a profile that names it, for errors.
    """

    path: Path
    named_by: str

    def __call__(self) -> str:
        """Read the secret.

        Raises:
            ConfigurationError: the file cannot be read, is not UTF-8, is empty or too large.
        """
        where = f"{self.named_by}: {self.path}"
        try:
            with self.path.open("rb") as file:
                data = file.read(_LARGEST_SECRET + 1)
        except OSError as error:
            raise ConfigurationError(f"{where} cannot be read: {error.strerror or type(error).__name__}") from None
        if len(data) > _LARGEST_SECRET:
            raise ConfigurationError(f"{where} is too large for a secret: name the file that holds it alone")
        try:
            text = data.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            del data
            raise ConfigurationError(f"{where} is not UTF-8: save it in UTF-8") from None
        if not text:
            raise ConfigurationError(f"{where} is empty: write the secret into it")
        return text


@frozen
class Environment:
    """The sources of settings: variables and a profile.

    Attributes:
        variables: the environment's variables.
        profile: the values of the profile, empty without one.
        profile_name: its name, empty without one.
    """

    variables: Mapping[str, str] = field(repr=False)
    profile: Mapping[str, str | bool] = field(factory=dict, repr=masked)
    profile_name: str = ""

    @classmethod
    def read(cls, profile: str | None = None, *, variables: Mapping[str, str] = os.environ) -> Environment:
        """Read the profile that is named here or in `CARECLOUD_PROFILE`, from `config.toml` or `CARECLOUD_CONFIG`.

        Raises:
            ConfigurationError: there is no such profile, or its file is wrong; the message names the fix.
        """
        name = (profile or variables.get("CARECLOUD_PROFILE", "")).strip()
        if not name:
            return cls(variables)
        own = variables.get("CARECLOUD_CONFIG", "").strip()
        path = Path(own) if own else config_folder(variables) / "config.toml"
        return cls(variables, _read_profile(path, name), name)

    def with_settings(self, settings: Mapping[str, str]) -> Environment:
        """Return the same sources, where these settings win."""
        variables = {**self.variables, **{variable_of(name): value for name, value in settings.items()}}
        others = {*settings, *(f"{name}_file" for name in settings)}
        for name in settings:
            variables.pop(f"{variable_of(name)}_FILE", None)
        profile = {name: value for name, value in self.profile.items() if name not in others}
        return evolve(self, variables=variables, profile=profile)

    def text(self, setting: str) -> str | None:
        """Return a setting's value: the profile's, else the variable's, from a file where one is named.

        Raises:
            ConfigurationError: it is given twice in one place, or its file cannot be read.
        """
        value = self.secret(setting)
        return value() if isinstance(value, SecretFile) else value

    def secret(self, setting: str) -> str | SecretFile | None:
        """Return the value of a setting, or the file that holds it, which is then read at each login.

        Raises:
            ConfigurationError: it is given twice in one place.
        """
        where, profile = f"profile {self.profile_name}: {setting}", cast("Mapping[str, str]", self.profile)
        chosen = _one_of(profile.get(setting), profile.get(f"{setting}_file"), where, f"{where}_file")
        if chosen is not None:
            return chosen
        variable = variable_of(setting)
        file = self.variables.get(f"{variable}_FILE") if setting in _IN_FILES else None
        return _one_of(self.variables.get(variable), file, variable, f"{variable}_FILE")

    def flag(self, setting: str) -> bool:
        """Return whether a setting that is off by default is on, in the profile or in the variable.

        Raises:
            ConfigurationError: the variable says neither.
        """
        variable = variable_of(setting)
        word = self.variables.get(variable, "").strip().lower()
        if word and word not in _WORDS:
            raise ConfigurationError(f"{variable} must be true or false")
        return self.profile.get(setting) is True or _WORDS.get(word, False)


def _one_of(value: str | None, file: str | None, name: str, file_name: str) -> str | SecretFile | None:
    text, path = (value or "").strip(), (file or "").strip()
    if text and path:
        raise ConfigurationError(f"{name} and {file_name} are both set: set one of them")
    return SecretFile(Path(path), file_name) if path else text or None


def _read_profile(path: Path, name: str) -> dict[str, str | bool]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            config = tomllib.loads(file.read().decode("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"profile {name}: there is no {path}: write the table [profiles.{name}] into it"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = f": {error}" if isinstance(error, tomllib.TOMLDecodeError) else ", which is UTF-8"
        raise ConfigurationError(f"{path} is not TOML{where}") from None
    profiles = config.get("profiles")
    profile = profiles.get(name) if isinstance(profiles, dict) else None
    if not isinstance(profile, dict):
        known = sorted(profiles) if isinstance(profiles, dict) else []
        names = f": there are {', '.join(known)}" if known else f": write the table [profiles.{name}]"
        raise ConfigurationError(f"{path} has no profile {name}{did_you_mean(name, known) or names}")
    values = {key: _checked(value, key, f"{path}, profile {name}") for key, value in profile.items()}
    if "password" in values and not is_private(status):
        raise ConfigurationError(
            f"{path} holds a password and others may read it: chmod 600 {path}, or name a file in password_file"
        )
    # A relative path is one beside the configuration, wherever the program runs.
    return {key: str(path.parent / str(value)) if key.endswith("_file") else value for key, value in values.items()}


def _checked(value: Any, key: str, where: str) -> str | bool:
    if key not in _PROFILE_NAMES:
        known = did_you_mean(key, _PROFILE_NAMES) or f": there are {', '.join(_PROFILE_NAMES)}"
        raise ConfigurationError(f"{where}: unknown setting {key}{known}")
    if key in _FLAGS:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{where}: {key} must be true or false, without quotation marks")
        return value
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: {key} must be text in quotation marks")
    return value
