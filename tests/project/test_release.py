"""The release of the project: workflows, versions, and the page on the index."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

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
        assert used.startswith("$/.github/") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_workflows_may_do_no_more_than_they_say(path):
    """Nothing is permitted by default, each job names its permissions and its longest time."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) in ({"contents"}, {"id-token"}, {"id-token", "attestations"})
        assert "uses" in job or job["timeout-minutes"] <= 60


@pytest.mark.thorough
def test_an_audit_of_the_workflows_finds_nothing():
    """`zizmor` without the network finds no weakness in workflows and update settings."""
    zizmor = shutil.which("zizmor", path=Path(sys.executable).parent)
    if zizmor is None:
        pytest.skip("zizmor is not installed")
    audit = [zizmor, "--offline", "--no-progress", "--quiet", ".github"]
    done = subprocess.run(audit, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_release_attests_its_distributions_and_its_sbom():
    """Both are signed where they can be verified, by the commands that `SECURITY.md` has."""
    steps = load(ROOT / ".github/workflows/release.yml")["jobs"]["attest"]["steps"]
    attested = [step["with"] for step in steps if step["uses"].startswith("actions/attest@")]
    assert attested == [{"subject-path": "dist/*"}, {"subject-path": "dist/*", "sbom-path": "sbom.cdx.json"}]
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert '--signer-workflow "$REPOSITORY/.github/workflows/release.yml"' in security
    assert "--predicate-type https://cyclonedx.org/bom" in security


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
