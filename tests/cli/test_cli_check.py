"""`carecloud check`: a first look at a project."""

import json
from pathlib import Path

from carecloud_async.sandbox import Sandbox


def test_a_project_without_problems_ends_with_0(carecloud, project, monkeypatch):
    """Each finding is a line, the last line counts them, the report is JSON; what is not known leaves the code 0."""
    with Sandbox(customers=300, untidy=False).running() as url:
        monkeypatch.setenv("CARECLOUD_PROJECT_URL", url)
        outcome = carecloud("check", "--report", "check.json")
    assert outcome.code == 0, outcome.out
    assert outcome.err == ""
    assert outcome.out.splitlines()[-1].startswith("0 problems, 0 warnings, 1 not known, ")
    assert "not known change_times: no change of the last minutes" in outcome.out
    report = json.loads(Path("check.json").read_text())
    assert report["ok"] is True
    assert {finding["status"] for finding in report["findings"]} == {"ok", "not known"}


def test_a_problem_ends_with_1(carecloud, project):
    """A refused login is a finding with its fix, and the exit code is 1."""
    project.set_password("another")
    outcome = carecloud("check", "--report", "check.json")
    assert outcome.code == 1
    assert "problem   login: the login failed with status 403" in outcome.out
    assert "Fix: check the credentials, external_application_id" in outcome.out
    assert json.loads(Path("check.json").read_text())["ok"] is False
