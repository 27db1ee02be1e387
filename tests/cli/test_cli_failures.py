"""What goes wrong at the server or in the settings: one line that names the fix, no traceback, no file."""

import io
import logging
import os

import anyio.lowlevel
import pytest
from every import every
from lying import lie

from carecloud_async._base.runtime.clock import SystemClock

NAMES = ["CARECLOUD_PROJECT_URL", "CARECLOUD_EXTERNAL_APPLICATION_ID", "CARECLOUD_LOGIN", "CARECLOUD_PASSWORD"]


@pytest.mark.parametrize("command", ["export customers -o c.jsonl", "mcp"])
def test_missing_variables_are_named(carecloud, command):
    """All that is missing is named at once, and the way without a project."""
    refused = carecloud(*command.split())
    assert refused.code == 2
    assert all(name in refused.line for name in NAMES)
    assert "--sandbox" in refused.line


@every("name", NAMES)
def test_one_missing_variable_is_named_alone(carecloud, project, monkeypatch, name):
    """Only what is missing is named; an empty value is a missing one."""
    with monkeypatch.context() as patch:
        patch.setenv(name, "")
        refused = carecloud("total", "customers")
    assert refused.code == 2
    assert [known for known in NAMES if known in refused.line] == [name]


def test_the_password_is_no_option(carecloud):
    """An option would show the password in the list of processes."""
    assert carecloud("login", "--password", "secret").code == 2


def test_the_password_is_asked_for_on_a_terminal(carecloud, project, monkeypatch):
    """Without the variable a terminal is asked."""
    password = os.environ["CARECLOUD_PASSWORD"]
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: password)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert carecloud("total", "customers", stdin=terminal).out == "250\n"


ADDRESSES = {
    "plain http": ("http://acme.crmcarecloud.com", "https://"),
    "a path": ("https://acme.crmcarecloud.com/webservice/rest-api/customer-interface/v1.0", "domain alone"),
    "a typo": ("acme,crmcarecloud.com", "typos"),
    "a password": ("https://user:hunter2@acme.crmcarecloud.com", "CARECLOUD_PASSWORD"),
}


@every("address, hint", [*ADDRESSES.values()])
def test_an_address_that_cannot_work(carecloud, project, address, hint):
    """Each is refused before anything is sent."""
    refused = carecloud("login", "--project-url", address)
    assert refused.code == 2
    assert hint in refused.line
    assert "hunter2" not in refused.line
    assert project.count() == 0


def test_http_is_allowed_by_an_option(carecloud, project):
    """`--allow-http` lets the address by; the name still has to be there."""
    refused = carecloud("login", "--project-url", "http://sandbox.invalid", "--allow-http")
    assert refused.code == 1
    assert "--project-url" in refused.line


def test_a_wrong_password(carecloud, project, monkeypatch, tmp_path):
    """One login, one line, no password in it, no file."""
    monkeypatch.setenv("CARECLOUD_PASSWORD", "hunter2")
    refused = carecloud("export", "customers", "-o", "c.jsonl")
    assert refused.code == 1
    assert "CARECLOUD_PASSWORD" in refused.line
    assert "hunter2" not in refused.line
    assert project.logins == 1
    assert list(tmp_path.iterdir()) == []


INTERFACE = '{"error": {"type": "error", "exception": "interface_not_allowed_exception", "title": "x", "detail": "y"}}'
REFUSED = {
    "a limit": ({"status": 429}, "asked too often; try again later, exports slower with --rate"),
    "a right": ({"status": 403, "body": '{"error": {"title": "no"}}'}, "the API user lacks the right"),
    "the other interface": ({"status": 403, "body": INTERFACE}, "may not use the enterprise interface"),
    "trouble": ({"status": 503}, "try again later"),
}


@pytest.fixture
def no_wait(monkeypatch):
    """Retries take no time."""

    async def no_wait(clock, seconds):
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(SystemClock, "sleep", no_wait)


@every("fault, words", [*REFUSED.values()])
def test_a_refusal_says_what_to_do(carecloud, project, no_wait, fault, words):
    """A limit, a missing right, another application and trouble that stays name the option, or whom to ask."""
    project.faults.clear()
    project.faults.add("GET /customers", times=None, **fault)
    refused = carecloud("total", "customers")
    assert (refused.code, words in refused.line) == (1, True), refused.line


def test_an_unknown_application(carecloud, project):
    """The line about an unknown application names the setting."""
    refused = carecloud("login", "--external-application-id", "0123456789abcdef")
    assert refused.code == 1
    assert "CARECLOUD_EXTERNAL_APPLICATION_ID" in refused.line


BROKEN = {
    "HTML": {"html": True},
    "broken JSON": {"garbage": True},
    "no data": {"body": "{}"},
    "data of another kind": {"body": '{"data": [1]}'},
}


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("operation", ["POST /users/actions/login", "GET /customers"])
def test_server_that_does_not_speak_the_api(carecloud, project, tmp_path, no_wait, fault, operation):
    """A server that does not speak the API is asked about in one line, and nothing is left under the final name."""
    project.faults.add(operation, times=None, **fault)
    refused = carecloud("export", "customers", "-o", "c.jsonl")
    assert refused.code == 1
    assert "is the project URL that of a CareCloud project" in refused.line
    assert not (tmp_path / "c.jsonl").exists()


def test_a_sandbox_without_http_in_its_address(carecloud, project):
    """An address of this machine without http:// is hinted at; one with it is not."""
    address = os.environ["CARECLOUD_PROJECT_URL"].removeprefix("http://")
    refused = carecloud("login", "--project-url", address)
    assert refused.code == 1
    assert refused.line.endswith(f"write --project-url (CARECLOUD_PROJECT_URL) as http://{address}")
    assert "as http://" not in carecloud("login", "--project-url", "http://127.0.0.1:9").line


def test_trouble_that_passes_is_not_seen(carecloud, project, no_wait):
    """A request that fails once is repeated."""
    project.faults.add("GET /customers", status=503, times=1)
    assert carecloud("total", "customers").out == "250\n"


def test_a_value_that_the_server_refuses(carecloud, project):
    """The server's reason is shown with the name it concerns."""
    refused = carecloud("list", "customers", "--sort-field", "nonsense")
    assert refused.code == 1
    assert "sort_field: not_allowed_value" in refused.line


@every("fault", [{"status": 503}, {"status": 200, "html": True}, {"cut": True}])
def test_a_write_that_may_have_been_made(carecloud, project, fault):
    """After a 5xx, an unreadable answer or none the line says to look first, and not to try again."""
    project.faults.add("POST /events", **fault)
    refused = carecloud("request", "POST", "events")
    assert refused.code == 1
    assert "it may have been made, look before you repeat it" in refused.line
    assert "try again" not in refused.line


def test_an_unexpected_error_is_one_line(carecloud, project, monkeypatch):
    """An unexpected error shows no traceback unless CARECLOUD_DEBUG is on."""

    class Broken(io.StringIO):
        def isatty(self):
            raise RuntimeError("oh")

    monkeypatch.delenv("CARECLOUD_PASSWORD")  # it would be asked for at a terminal
    for off in ("", "0", "False", "no", "off"):
        monkeypatch.setenv("CARECLOUD_DEBUG", off)
        refused = carecloud("total", "customers", stdin=Broken())
        assert refused.code == 1
        assert "unexpected RuntimeError: oh" in refused.line
    monkeypatch.setenv("CARECLOUD_DEBUG", "1")
    with pytest.raises(RuntimeError):
        carecloud("total", "customers", stdin=Broken())


def test_warnings_are_lines_and_only_while_the_command_runs(carecloud, project):
    """What the SDK warns of is printed as a line; logging is afterwards as it was."""
    logger = logging.getLogger("carecloud_async")
    before = (logger.propagate, list(logger.handlers))
    lie(project, empty_from=0)
    done = carecloud("list", "customers")
    assert done.code == 0
    assert done.out == ""
    assert "carecloud: warning: customers.list: the list ended at 0" in done.err
    assert (logger.propagate, logger.handlers) == before
