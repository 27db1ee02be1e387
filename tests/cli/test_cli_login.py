"""`carecloud login` keeps its token for the commands that follow; profiles; secrets in files."""

import os

import pytest


def test_the_commands_after_a_login_use_its_token(carecloud, project, monkeypatch, tmp_path):
    """After `login` they need no password, and make no login of their own."""
    (tmp_path / "rows.csv").write_text("customer_id,first_name\n")
    assert carecloud("login").code == 0
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    for command in (
        ("total", "customers"),
        ("export", "customers", "-o", "a.jsonl"),
        ("changes", "customers", "-o", "b.jsonl", "--state", "b.state"),
        ("import", "customers", "rows.csv", "--match", "customer_id", "--yes"),
    ):
        done = carecloud(*command)
        assert done.code == 0, done.err
    assert project.count("POST /users/actions/login") == 1


def test_a_kept_token_that_has_ended_asks_for_the_password(carecloud, project, monkeypatch):
    """Without a password and without a terminal the line says to log in again; without a login no token is kept."""
    assert carecloud("total", "customers").code == 0
    assert carecloud("login").code == 0
    assert project.count("POST /users/actions/login") == 2
    project.revoke_all()
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    refused = carecloud("total", "customers")
    assert refused.code == 2
    assert "log in again" in refused.line


@pytest.mark.parametrize("logged_in", [True, False])
@pytest.mark.parametrize("command", ["check", "login"])
def test_a_login_needs_the_password(carecloud, project, monkeypatch, logged_in, command):
    """`check` and `login` log in: without the password they end at once, and speak of no token that has ended."""
    assert not logged_in or carecloud("login").code == 0
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    refused = carecloud(command)
    assert (refused.code, refused.out) == (2, "")
    assert ("set CARECLOUD_PASSWORD" in refused.line, "has ended" in refused.line) == (True, False)


def test_logout_ends_the_token(carecloud, project, monkeypatch):
    """The token ends, whatever the password is now; a command with it leaves none, one without says what to set."""
    assert carecloud("login").code == 0
    with monkeypatch.context() as patch:
        patch.setenv("CARECLOUD_PASSWORD", "changed meanwhile")
        assert carecloud("logout").out == "logged out\n"
    assert carecloud("logout").out == "no token is kept\n"
    assert project.count("POST /users/actions/logout") == 1
    assert carecloud("total", "customers").code == 0
    assert project.count("POST /users/actions/login") == 2
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    refused = carecloud("total", "customers")
    assert (refused.code, "set CARECLOUD_PASSWORD" in refused.line) == (2, True)


def test_a_kept_token_is_its_users_alone(carecloud, project):
    """A command of another user does not get the token, and a logout of that user leaves it, and says so."""
    assert carecloud("login").code == 0
    refused = carecloud("total", "customers", "--login", "another_user")
    assert refused.code == 1
    assert "401" in refused.line or "refused" in refused.line
    assert carecloud("logout", "--login", "another_user").out == "no token of this user is kept for this project\n"
    assert project.count("POST /users/actions/logout") == 0
    assert carecloud("logout").out == "logged out\n"


def test_a_profile_on_the_command_line(carecloud, project, monkeypatch, tmp_path):
    """`--profile` takes the project and the user from `config.toml`, whatever the variables say."""
    (tmp_path / "secret").write_text(os.environ["CARECLOUD_PASSWORD"])
    lines = [f'{name} = "{os.environ[f"CARECLOUD_{name.upper()}"]}"' for name in ("project_url", "login")]
    text = "\n".join(["[profiles.acme]", *lines, 'password_file = "secret"', ""])
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("CARECLOUD_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("CARECLOUD_PROJECT_URL", "wrong.example")
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    assert carecloud("total", "customers", "--profile", "acme").out == "250\n"
    refused = carecloud("total", "customers", "--profile", "acne")
    assert refused.code == 2
    assert "did you mean acme?" in refused.line
