"""The release of the project: workflows, versions, and the page on the index."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from project_files import PACKAGE, ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name(path):
    return path.name


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_actions_are_pinned_by_their_commit(path):
    """Each action of others is a full commit hash with its version beside it."""
    for used in re.findall(r"uses: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert used.startswith("./.github/") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_workflows_may_do_no_more_than_they_say(path):
    """Nothing is permitted by default, each job names its permissions and its longest time."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) in ({"contents"}, {"id-token"})
        assert "uses" in job or job["timeout-minutes"] <= 60


def test_each_python_that_is_named_is_tested():
    """Classifiers, changelog and workflow name the same Pythons: those promised, and the next one, which may fail."""
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    job = load(ROOT / ".github/workflows/tests.yml")["jobs"]["python"]
    *tested, next_one = job["strategy"]["matrix"]["python"]
    assert named == tested
    assert job["continue-on-error"] == f"${{{{ matrix.python == '{next_one}' }}}}"
    statement = f"Python {named[0]} to {named[-1]}; CI also runs {next_one}, which is not promised yet."
    assert statement in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_the_next_httpx_is_not_taken():
    """Version 1.0 has another API, and its pre-releases are published."""
    (httpx,) = (library for library in map(Requirement, PROJECT["dependencies"]) if library.name == "httpx")
    assert not httpx.specifier.contains("1.0.dev3", prereleases=True)


def test_files_of_the_forge_are_yaml():
    """Dependabot and the issue forms can be read."""
    for path in (ROOT / ".github").rglob("*.yml"):
        assert load(path), path
    updates = load(ROOT / ".github/dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions"}


def test_the_changelog_begins_with_this_version():
    """The first heading of the changelog is the version of the package."""
    version = re.search(r'__version__ = "(.+?)"', (PACKAGE / "_version.py").read_text(encoding="utf-8"))[1]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == version


def test_the_index_gets_author_and_addresses():
    """Authors, addresses and a licence stand in the project's metadata."""
    assert PROJECT["authors"]
    assert PROJECT["urls"]
    assert all(url.startswith("https://") for url in PROJECT["urls"].values())
    assert PROJECT["license"] == "MIT"
