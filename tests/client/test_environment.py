"""Settings from outside: variables, files that hold secrets, profiles of `config.toml`."""

import pytest
from kit import ENVIRONMENT

from carecloud_async import CareCloud, ConfigurationError
from carecloud_async.config import from_environment
from carecloud_async.environment import Environment, SecretFile
from carecloud_async.sandbox import Sandbox


def settings_of(variables, **given):
    return from_environment(given, environment=Environment.read(variables=variables))


def config(tmp_path, text, mode=0o600):
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return {"CARECLOUD_CONFIG": str(path)}


@pytest.mark.parametrize("name", ["EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"])
def test_a_credential_may_stand_in_a_file(tmp_path, name):
    """`CARECLOUD_…_FILE` names a file in place of the variable; the line's end does not count."""
    secret = tmp_path / "secret"
    secret.write_text("from a file\r\n")
    variables = {key: value for key, value in ENVIRONMENT.items() if not key.endswith(name)}
    auth = settings_of(variables | {f"CARECLOUD_{name}_FILE": str(secret)})["auth"]
    settings = getattr(auth, name.lower())
    assert (settings() if callable(settings) else settings) == "from a file"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "UTF-8"), (b"x" * 70_000, "large")],
)
def test_a_file_without_a_secret_is_named_at_once(tmp_path, content, says):
    """A missing, empty, foreign or huge file is an error with its variable and path, before any login."""
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    variables = {key: value for key, value in ENVIRONMENT.items() if key != "CARECLOUD_PASSWORD"}
    with pytest.raises(ConfigurationError, match=f"CARECLOUD_PASSWORD_FILE: .*secret .*{says}"):
        settings_of(variables | {"CARECLOUD_PASSWORD_FILE": str(secret)})


def test_a_variable_and_its_file_exclude_each_other(tmp_path):
    """Which of the two is right cannot be known: both names are in the error, and neither value."""
    with pytest.raises(ConfigurationError, match=r"CARECLOUD_LOGIN and CARECLOUD_LOGIN_FILE are both set") as caught:
        settings_of(ENVIRONMENT | {"CARECLOUD_LOGIN_FILE": str(tmp_path / "login")})
    assert "api_user" not in str(caught.value)


@pytest.mark.anyio
async def test_a_password_in_a_file_is_read_at_each_login(tmp_path):
    """A rotated password in a file is picked up without a restart."""
    sandbox = Sandbox(customers=1)
    credentials = sandbox.credentials()
    secret = tmp_path / "password"
    secret.write_text("an old one")
    variables = {
        "CARECLOUD_PROJECT_URL": "sandbox.example",
        "CARECLOUD_EXTERNAL_APPLICATION_ID": credentials.external_application_id,
        "CARECLOUD_LOGIN": credentials.login,
        "CARECLOUD_PASSWORD_FILE": str(secret),
    }
    async with CareCloud(**settings_of(variables, transport=sandbox.transport())) as client:
        secret.write_text(f"{credentials.password}\n")
        await client.ping()


def test_a_profile_wins_over_the_variables(tmp_path):
    """Variables may be those of another project; what the profile lacks comes from them."""
    variables = config(tmp_path, '[profiles.shop]\nproject_url = "shop.crmcarecloud.com"\nlogin = "shop_user"\n')
    settings = settings_of(ENVIRONMENT | variables | {"CARECLOUD_PROFILE": "shop"})
    assert settings["project_url"] == "shop.crmcarecloud.com"
    assert (settings["auth"].login, settings["auth"].password) == ("shop_user", "word")


def test_a_file_of_a_profile_stands_beside_the_configuration(tmp_path, monkeypatch):
    """A relative path in `config.toml` does not depend on the current folder."""
    (tmp_path / "secret").write_text("kept")
    variables = config(tmp_path, '[profiles.shop]\npassword_file = "secret"\n')
    monkeypatch.chdir("/")
    settings = settings_of(ENVIRONMENT | variables | {"CARECLOUD_PROFILE": "shop"})
    assert settings["auth"].password() == "kept"


def test_the_configuration_is_in_the_users_folder(tmp_path):
    """Without `CARECLOUD_CONFIG` the file is `carecloud-async/config.toml` in the user's configuration folder."""
    (tmp_path / "carecloud-async").mkdir()
    config(tmp_path / "carecloud-async", '[profiles.shop]\nlanguage = "de"\n')
    home = {"XDG_CONFIG_HOME": str(tmp_path), "APPDATA": str(tmp_path)}
    assert Environment.read("shop", variables=home).text("language") == "de"


def test_a_configuration_of_windows(tmp_path):
    """A byte order mark and Windows' line ends, as its editors write them, change nothing."""
    variables = config(tmp_path, '\ufeff[profiles.shop]\r\nlanguage = "de"\r\n')
    assert Environment.read("shop", variables=variables).text("language") == "de"


WRONG = {
    "no such profile": ("[profiles.shop]\n", r"no profile shpo: did you mean shop\?"),
    "no profile at all": ("", r"no profile shpo: write the table \[profiles.shpo\]"),
    "an unknown setting": ('[profiles.shpo]\npasword_file = "x"\n', r"unknown setting pasword_file: did you mean pass"),
    "a number": ("[profiles.shpo]\nlogin = 7\n", "login must be text in quotation marks"),
    "no TOML": ("[profiles", "is not TOML"),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_says_what_to_write(tmp_path, text, says):
    """Each mistake is a `ConfigurationError` that names the file and the fix."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Environment.read("shpo", variables=config(tmp_path, text))
    assert "config.toml" in str(caught.value)


def test_a_missing_configuration_is_named(tmp_path):
    """The error has the path of the file and the table to write."""
    with pytest.raises(ConfigurationError, match=r"there is no .*config.toml: write the table \[profiles.acme\]"):
        Environment.read("acme", variables={"CARECLOUD_CONFIG": str(tmp_path / "config.toml")})


@pytest.mark.skipif("os.name == 'nt'", reason="permissions are access lists there")
def test_a_password_that_others_may_read_is_refused(tmp_path):
    """A `config.toml` with a password must be private; the error names the command, and not the password."""
    variables = config(tmp_path, '[profiles.acme]\npassword = "hunter2"\n', mode=0o644)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        Environment.read("acme", variables=variables)
    assert "hunter2" not in str(caught.value)
    (tmp_path / "config.toml").chmod(0o600)
    environment = Environment.read("acme", variables=variables)
    assert environment.secret("password") == "hunter2"
    assert "hunter2" not in repr(environment)


def test_the_repr_of_a_secret_file_holds_no_secret(tmp_path):
    """Only the path is shown."""
    (tmp_path / "secret").write_text("hunter2")
    assert "hunter2" not in repr(SecretFile(tmp_path / "secret", "CARECLOUD_PASSWORD_FILE"))
