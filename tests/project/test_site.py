"""The site: every page is in its navigation, no link is dead, and every family is in the reference."""

import re
import shutil
import subprocess
import sys
import tomllib
import zlib
from importlib import import_module
from importlib.util import find_spec
from urllib.parse import unquote

import pytest
from doc_samples import PAGES, prose
from project_files import PACKAGE, ROOT

from carecloud_async.models import HOMES
from carecloud_async.resources.declare import Resource
from carecloud_async.resources.families import family_modules
from carecloud_async.resources.updating import Updating

DOCS = ROOT / "docs"
REFERENCE = sorted((DOCS / "reference").glob("*.md"))
LINKING = [*PAGES, *REFERENCE, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]


def name(path):
    return str(path.relative_to(ROOT))


def navigation(part):
    """The files below a part of `nav`."""
    if isinstance(part, str):
        return [part]
    values = part.values() if isinstance(part, dict) else part
    return [one for value in values for one in navigation(value)]


def settings():
    return tomllib.loads((DOCS / "zensical.toml").read_text(encoding="utf-8"))["project"]


def slugs(path):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_navigation_once():
    """Pages and navigation are the same files."""
    found = navigation(settings()["nav"])
    assert len(found) == len(set(found))
    pages = [path for path in DOCS.rglob("*.md") if "site" not in path.relative_to(DOCS).parts]
    assert set(found) == {path.relative_to(DOCS).as_posix() for path in pages}


@pytest.mark.parametrize("path", LINKING, ids=name)
def test_no_link_is_dead(path):
    """Each link within the project leads to a file, and to a heading where it names one."""
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose(path)):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@pytest.mark.parametrize("path", [page for page in PAGES if page.parent != ROOT], ids=name)
def test_pages_of_the_site_link_to_pages_of_the_site(path):
    """A page names no folder and nothing outside `docs/`, which the built site does not have."""
    for link in re.findall(r"\]\((?!https?://)([^)#\s]+)[^)]*\)", prose(path)):
        target = (path.parent / link).resolve()
        assert target.is_relative_to(DOCS), link
        assert target.is_file(), link


def test_every_family_and_model_is_in_the_reference():
    """Each module of families and of models stands on exactly one page."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE)
    shown = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    assert len(shown) == len(set(shown))
    families = {module for module in family_modules() if module != "carecloud_async.resources.customers"}
    parts = (PACKAGE / "resources/customers").glob("[!_]*.py")
    families |= {f"carecloud_async.resources.customers.{path.stem}" for path in parts}
    families -= {"carecloud_async.resources.customers.bulk_parts"}  # steps of bulk writes, no operations
    helpers = {"base", "changes", "read_only"}  # no records: `base` shows two of its classes by name
    models = {f"carecloud_async.models.{home}" for home in set(HOMES.values()) - helpers}
    assert sorted((families | models) - set(shown)) == []


def missing_in(inventory):
    """Public names and methods of families that no page of the reference shows."""
    header = re.match(rb"(?:#.*\n){4}", inventory.read_bytes())
    lines = zlib.decompress(inventory.read_bytes()[header.end() :]).decode().splitlines()
    shown = {line.split(" ")[0] for line in lines}
    # Helpers of models, and aliases, which do not know their module.
    left_out = {"__version__", "CareCloudDep", "LocalDatetime", "merge_changes", "read_only_names", "read_only_paths"}
    wanted = set()
    for place in ("", ".models", ".workflows", ".fastapi", ".otel", ".dlt"):
        try:
            module = import_module(f"carecloud_async{place}")
        except ImportError:
            continue
        for one in set(module.__all__) - left_out:
            wanted.add(f"{getattr(getattr(module, one), '__module__', module.__name__)}.{one}")
    for family in families(Resource):
        names = {operation.call.rpartition(".")[2] for operation in family.operations}
        names |= {"update"} if issubclass(family, Updating) and family is not Updating else set()
        wanted |= {f"{family.__module__}.{family.__qualname__}.{one}" for one in names}
    return sorted(one for one in wanted - shown if one.startswith("carecloud_async."))


def families(cls):
    """Every class of operations in the package."""
    for module in family_modules():
        import_module(module)
    for one in cls.__subclasses__():
        if one.__module__.startswith("carecloud_async."):
            yield one
            yield from families(one)


def dead_links(site):
    """Links of the built pages within the site that lead to no file, or to no place on its page."""
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in site.rglob("*.html") if path.stem != "404"}
    for path, html in pages.items():
        for link in set(re.findall(r'(?:href|src)="(?![a-z]+:|//)([^"]+)"', html)):
            file, _, anchor = link.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            if not target.exists() or (anchor and f'id="{unquote(anchor)}"' not in pages.get(target, "")):
                yield f"{path.relative_to(site.resolve())}: {link}"


def test_the_site_builds_without_a_warning(tmp_path):
    """The command that CONTRIBUTING names builds every page and the search; no link is dead or loads from elsewhere."""
    if find_spec("zensical") is None or find_spec("mkdocstrings_handlers") is None:
        pytest.skip("zensical is not installed")
    command = [sys.executable, "-m", "zensical", "build", "-f", "docs/zensical.toml", "--strict"]
    assert " ".join(["-m", *command[2:]]) in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("site", ".cache"))
    shutil.copytree(PACKAGE, tmp_path / "carecloud_async", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "No issues found" in done.stderr
    site = tmp_path / "docs/site"
    pages = [one.replace("README.md", "index.md") for one in navigation(settings()["nav"])]
    for page in pages:
        html = (site / page).with_suffix(".html").read_text(encoding="utf-8")
        assert re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]+', html) == []
        assert re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//[^"]+', html) == []
        assert "```" not in html, page  # a fence that was not understood
        assert "├──" not in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL), page  # a drawing that has run together
        assert 'class="mermaid"' not in html  # its script would come from elsewhere
    assert sorted(dead_links(site)) == []
    assert missing_in(site / "objects.inv") == []
    search = (site / "search.json").read_text(encoding="utf-8")
    for word in ("EnterpriseCredentials", "ProductReservations", "OutcomeUnknownError", "max_response_bytes"):
        assert word in search
