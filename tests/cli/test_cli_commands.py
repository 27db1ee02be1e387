"""`carecloud list`, `get`, `total`, `login`, `sandbox`, `--version`, and the help."""

import io
import json
import os
import re
import signal
import subprocess
import sys

import httpx
import pytest
from every import every
from thorough import variants

from carecloud_async import __version__
from carecloud_async.cli import main
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID


def test_one_customer_as_json(carecloud):
    """`get` prints the record as the server has it, on stdout alone."""
    done = carecloud("get", "customers", FIRST_CUSTOMER_ID, "--sandbox", 3)
    assert (done.code, done.err) == (0, "")
    record = json.loads(done.out)
    assert record["customer_id"] == FIRST_CUSTOMER_ID
    assert record["personal_information"]["birthdate"] == "985-02-12"


def test_a_customer_that_is_not_there(carecloud):
    """An unknown id is one line and code 1."""
    refused = carecloud("get", "customers", "nobody", "--sandbox", 3)
    assert refused.code == 1
    assert refused.line.startswith("there is no record with the id nobody in customers: carecloud list customers")


def test_a_record_without_an_id_that_is_not_there(carecloud, project):
    """A resource that is read without an id is named without one."""
    project.faults.add("GET /wallet/actions/credits-overview", status=404)
    refused = carecloud("get", "wallet.credits_overview")
    assert (refused.code, refused.line) == (1, "there is no wallet.credits_overview")


def test_customers_one_a_line(carecloud):
    """`list` prints at most `--count` records from `--offset` on, sorted as asked, however pages are cut."""
    done = carecloud(
        *("list", "customers", "--count", 1500, "--offset", 10, "--sort-field", "customer_id"), "--sandbox", 3000
    )
    assert (done.code, done.err) == (0, "")
    ids = [json.loads(line)["customer_id"] for line in done.out.encode().splitlines()]
    assert len(ids) == 1500
    assert ids == sorted(ids)


def test_a_list_that_stops_at_its_default_says_so(carecloud):
    """`list` prints a hundred records unless `--count` is given, and says on stderr if there are more."""
    stopped = carecloud("list", "cards", "--sandbox", 101)
    assert (stopped.code, stopped.out.count("\n")) == (0, 100)
    assert stopped.line.startswith("stopped after 100 records: --count N")
    assert carecloud("list", "cards", "--sandbox", 100).err == ""
    assert carecloud("list", "cards", "--count", 100, "--sandbox", 101).err == ""


def test_some_fields_of_customers(carecloud):
    """`--fields` prints these fields alone, in their order; an unknown one is refused with the nearest."""
    wanted = ("--fields", "personal_information.email, customer_id", "--count", 1, "--sandbox", 1)
    record = json.loads(carecloud("list", "customers", *wanted).out)
    assert list(record.items()) == [
        ("personal_information", {"email": FIRST_CUSTOMER_EMAIL}),
        ("customer_id", FIRST_CUSTOMER_ID),
    ]
    refused = carecloud("list", "customers", "--fields", "custmer_id", "--sandbox", 1)
    assert (refused.code, "did you mean customer_id?" in refused.line) == (2, True)
    empty = carecloud("list", "customers", "--fields", "nonsense", "--allow-unknown", "--sandbox", 1)
    assert (empty.code, empty.out) == (0, "{}\n")


def test_a_filter_that_no_record_matches(carecloud):
    """An empty list is no failure, and is said."""
    done = carecloud("list", "customers", "--filter", "last_name=Nobody", "--sandbox", 3)
    assert (done.code, done.out, done.line) == (0, "", "no record matches")


def test_total_prints_a_bare_number(carecloud):
    """`total` prints a bare number, with filters too."""
    assert carecloud("total", "customers", "--sandbox", 77).out == "77\n"
    filtered = carecloud("total", "customers", "--filter", "email=john.smith@example.com", "--sandbox", 77)
    assert (filtered.out, filtered.err) == ("1\n", "")


def test_login_says_who_and_until_when(carecloud, project):
    """`login` asks the server, and shows neither password nor token."""
    done = carecloud("login")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(
        r"logged in as fabulous_user \(Fabulous Legend\) on 127\.0\.0\.1:\d+, "
        r"until \d{4}-\d\d-\d\d \d\d:\d\d Europe/Prague \((7\.0|6\.9) hours from now\)\n",
        done.out,
    )
    assert project.logins == 1


@every("answer, words", [({}, "logged in on"), ({"user": {"user_id": "u1"}}, "logged in as u1 on")])
def test_what_the_server_left_unsaid_is_left_out(carecloud, project, answer, words):
    """A login without user, names or end is printed without them."""
    body = json.dumps({"data": {"bearer_token": "t", **answer}})
    project.faults.add("POST /users/actions/login", status=200, body=body)
    done = carecloud("login")
    assert (done.code, done.out.startswith(words)) == (0, True), done.err


def test_the_version(carecloud):
    """`--version` prints the package's name and version."""
    assert carecloud("--version").out == f"carecloud-async {__version__}\n"


def test_nothing_asked_is_answered_with_help(carecloud):
    """Without a command the help is shown, and that is wrong usage."""
    done = carecloud()
    assert done.code == 2
    assert (done.out + done.err).count("Usage") == 1


def test_a_mistyped_command(carecloud):
    """The nearest command is named."""
    refused = carecloud("exprot")
    assert refused.code == 2
    assert "export" in refused.line


@pytest.mark.parametrize("number", [signal.SIGTERM, *variants(signal.SIGINT)])
def test_the_sandbox_prints_how_to_reach_it(start, carecloud, monkeypatch, number):
    """The printed lines, copied into the environment, are all that other commands need; a signal ends it with 130."""
    process = start("sandbox", "--port", 0, "--customers", 42)
    lines = []
    while not lines or not lines[-1].startswith("#") or len(lines) == 1:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    settings = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines if line.startswith("export"))
    assert len(settings) == 4
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert carecloud("total", "customers").out == "42\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "carecloud: the sandbox is stopped\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(settings["CARECLOUD_PROJECT_URL"])


def test_a_port_that_is_taken(carecloud, project):
    """A port in use is one line that names the option."""
    port = os.environ["CARECLOUD_PROJECT_URL"].rpartition(":")[2]
    refused = carecloud("sandbox", "--port", port)
    assert refused.code == 1
    assert "--port" in refused.line


@pytest.mark.skipif(os.name == "nt", reason="it needs a shell of POSIX")
@pytest.mark.skipif(os.name != "posix", reason="this system has no sh")
@pytest.mark.parametrize(
    ("closed", "arguments", "out"),
    [
        ("<&- 2>&-", "export customers -o c.jsonl --sandbox 5 --report -", '  "records": 5,\n'),
        *variants(("<&- >&-", "export customers -o - --sandbox 5", ""), ("<&- >&-", "total customers --sandbox 5", "")),
    ],
)
def test_streams_that_are_closed_from_the_start(closed, arguments, out):
    """A command goes on if it was started with its standard streams closed."""
    program = "from carecloud_async.cli import main; main()"
    line = f'exec "{sys.executable}" -c "{program}" {arguments} {closed}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert out in done.stdout
    assert "unexpected" not in done.stderr


def as_program(monkeypatch, *arguments):
    """Run the command as its program does, and return its exit code."""
    monkeypatch.setattr("sys.argv", ["carecloud", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_the_help_in_any_locale(monkeypatch, capfd):
    """A locale without the bullets of the help gets other signs in their place."""
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding="iso-8859-2"))
    assert as_program(monkeypatch, "export", "--help") == 0
    sys.stdout.flush()
    assert b"carecloud export customers -o customers.jsonl" in printed.getvalue()
    assert capfd.readouterr().err == ""


#: What is not installed, the module that imports it, a command, and the extra that brings it.
MISSING = [
    ("typer", ["cli.app"], ["--version"], "cli"),
    (
        "rich",
        ["cli.reports", "cli.export", "cli.list_to_file"],
        ["export", "customers", "-o", "-", "--sandbox", "3"],
        "cli",
    ),
    ("uvicorn", ["sandbox", "sandbox.server.serving"], ["login", "--sandbox", "3"], "sandbox"),
]


@every("missing, modules, arguments, extra", MISSING)
def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch, capfd, missing, modules, arguments, extra):
    """Without its libraries the command says what to install."""
    with monkeypatch.context() as patch:
        for name in [name for name in sys.modules if name.startswith(f"{missing}.")]:
            patch.delitem(sys.modules, name)
        patch.setitem(sys.modules, missing, None)
        for name in [module for module in sys.modules if module.removeprefix("carecloud_async.") in modules]:
            patch.delitem(sys.modules, name)
        assert as_program(patch, *arguments) == 1
    printed = capfd.readouterr()
    assert printed.err.count("\n") == 1, printed.err
    assert f"pip install 'carecloud-async[{extra}]'" in printed.err
