"""The site: its navigation, its links, what the reference shows, and its pages for machines."""

import ast
import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zlib
from importlib import import_module
from importlib.util import find_spec
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
from doc_samples import PAGES, prose
from every import every
from project_files import PACKAGE, ROOT, text_of, tree_of

from carecloud_async import __version__
from carecloud_async.models import HOMES
from carecloud_async.resources.declare import Resource
from carecloud_async.resources.families import family_modules
from carecloud_async.resources.updating import Updating
from docs import __main__ as command
from docs.builder.machines import repository_index

DOCS = ROOT / "docs"
#: Bytes of a page's HTML.
LARGEST = 160_000
REFERENCE = sorted((DOCS / "reference").glob("*.md"))
LINKING = [*PAGES, *REFERENCE]
LINKING += [ROOT / f"{name}.md" for name in ("AGENTS", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
#: A link within the project: the file, and the place in it.
LINK = re.compile(r"\]\((?!https?://)([^)\s#]*)#?([^)\s]*)\)")


def navigation(part):
    """The files below a part of `nav`."""
    if isinstance(part, str):
        return [part]
    parts = part.values() if isinstance(part, dict) else part
    return [file for inner in parts for file in navigation(inner)]


def settings():
    return tomllib.loads((DOCS / "zensical.toml").read_text(encoding="utf-8"))["project"]


def slugs(path):
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_navigation_once():
    """Pages and navigation are the same files."""
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    assert sorted(navigation(settings()["nav"])) == sorted(path.as_posix() for path in pages if path.parts[0] != "site")


@every("path", LINKING)
def test_no_link_is_dead(path):
    """A link leads to a file, and to a heading where it names one; from a page of the site to one of the site."""
    for file, anchor in LINK.findall(prose(path)):
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), file
        assert not anchor or anchor in slugs(target), (file, anchor)
        if path in PAGES and path.is_relative_to(DOCS) and path.name != "changelog.md":
            assert target.is_relative_to(DOCS), file
            assert target.is_file(), file


def test_the_figures_of_the_comparison_were_measured():
    """Each figure of the page that compares is one of the page on speed, which can be measured again."""
    figures = re.findall(r"\d+\.\d\d(?=\N{MULTIPLICATION SIGN})", text_of(DOCS / "comparison.md"))
    assert figures
    assert [figure for figure in figures if figure not in text_of(DOCS / "speed.md")] == []


def names_bound_in(source):
    """The classes, functions and variables that a module defines at its top."""
    nodes = tree_of(source).body
    named = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)}
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
    return named | {target.id for target in targets if isinstance(target, ast.Name)}


@every("path", REFERENCE)
def test_pages_of_the_reference_can_be_read_in_the_repository(path):
    """A page begins with sentences, and each object that it names is a link to the source that describes it."""
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# .+\n\n(?!-|The source:)\S", text)
    for shown, link in re.findall(r"^- \[`(\S+)`\]\((\S+)\)$", text, re.MULTILINE):
        source = (path.parent / link).resolve()
        module = source.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
        # An object may be named by the address at which users import it.
        assert f"{shown}.".startswith(f"{module}.") or shown.rpartition(".")[2] in names_bound_in(source), shown
    assert ":::" not in text


def test_every_family_and_model_is_in_the_reference():
    """Each module of families and of models stands on exactly one page."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in REFERENCE)
    shown = re.findall(r"^- \[`(\S+)`\]", text, re.MULTILINE)
    assert len(shown) == len(set(shown))
    families = {module for module in family_modules() if module != "carecloud_async.resources.customers"}
    parts = (PACKAGE / "resources/customers").glob("[!_]*.py")
    families |= {f"carecloud_async.resources.customers.{path.stem}" for path in parts}
    steps = ("bulk_lookups", "bulk_parts")  # of bulk writes and workflows, no operations
    families -= {f"carecloud_async.resources.customers.{name}" for name in steps}
    helpers = {"base"}  # no records: what users need of them is shown by name
    models = {f"carecloud_async.models.{home}" for home in set(HOMES.values()) - helpers}
    assert sorted((families | models) - set(shown)) == []


def missing_in(inventory):
    """Public names and methods of families that no page of the reference shows."""
    header = re.match(rb"(?:#.*\n){4}", inventory.read_bytes())
    lines = [line.split(" ") for line in zlib.decompress(inventory.read_bytes()[header.end() :]).decode().splitlines()]
    for _, _, _, place, _ in lines:
        page, _, anchor = place.partition("#")
        assert f'id="{anchor}"' in text_of(inventory.parent / page), place
    shown = {line[0] for line in lines}
    # Helpers of models, and aliases, which do not know their module.
    left_out = {"__version__", "CareCloudDep", "OutboxDep", "LocalDatetime"}
    wanted = set()
    for place in ("", ".models", ".workflows", ".fastapi", ".otel", ".dlt"):
        if place == ".dlt" and find_spec("dlt") is None:
            continue
        module = import_module(f"carecloud_async{place}")
        for name in set(module.__all__) - left_out:
            home = f"{getattr(getattr(module, name), '__module__', module.__name__)}.{name}"
            if {home, f"{module.__name__}.{name}", f"carecloud_async.{name}"}.isdisjoint(shown):
                wanted.add(home)
    for family in families(Resource):
        names = {name for name, method in vars(family).items() if hasattr(method, "declared")}
        names |= {"update"} if issubclass(family, Updating) and family is not Updating else set()
        wanted |= {f"{family.__module__}.{family.__qualname__}.{name}" for name in names}
    return sorted(name for name in wanted - shown if name.startswith("carecloud_async."))


def families(cls):
    """Every class of operations in the package."""
    for module in family_modules():
        import_module(module)
    for family in cls.__subclasses__():
        if family.__module__.startswith("carecloud_async."):
            yield family
            yield from families(family)


def dead_links(site):
    """Links of the built pages within the site that lead to no file, or to no place on its page."""
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in site.rglob("*.html") if path.stem != "404"}
    for path, html in pages.items():
        for link in set(re.findall(r'(?:href|src)="(?![a-z]+:|//)([^"]+)"', html)):
            file, _, anchor = link.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            if not target.exists() or (anchor and f'id="{unquote(anchor)}"' not in pages.get(target, "")):
                yield f"{path.relative_to(site.resolve())}: {link}"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, as the command that CONTRIBUTING names builds it from a copy of the project."""
    if find_spec("zensical") is None or find_spec("griffe") is None:
        pytest.skip("the docs extra is not installed")
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("site", ".cache", "__pycache__"))
    shutil.copytree(PACKAGE, folder / "carecloud_async", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("CHANGELOG.md", "pyproject.toml"):
        shutil.copy(ROOT / file, folder)
    run = [sys.executable, "-m", "docs"]
    assert ".venv/bin/python -m docs\n" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "No issues found" in done.stderr
    return folder / "docs/site"


def built_pages(site):
    """Name and HTML of each page."""
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}


@pytest.mark.thorough
def test_the_site_builds_without_a_warning(built):
    """Every page and the search are there; no link is dead, and nothing loads from elsewhere."""
    pages = built_pages(built)
    names = [file.replace("README.md", "index.md").removesuffix(".md") for file in navigation(settings()["nav"])]
    assert {f"{name}.html" for name in names} <= set(pages)
    for page, html in pages.items():
        assert re.findall(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//[^"]+', html) == []
        assert re.findall(r'<link[^>]+rel="(?:stylesheet|preconnect)"[^>]+href="(?:https?:)?//[^"]+', html) == []
        assert "```" not in html, page  # a fence that was not understood
        assert "├──" not in re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL), page  # a drawing that has run together
        assert 'class="mermaid"' not in html  # its script would come from elsewhere
    assert sorted(dead_links(built)) == []
    search = (built / "search.json").read_text(encoding="utf-8")
    names = ["EnterpriseCredentials", "product_reservations", "OutcomeUnknownError", "max_response_bytes"]
    typed = ["cp1250", "Jupyter", "synchronous", "deleted records", "segment", "voucher"]
    assert [word for word in names + typed if word not in search] == []


@pytest.mark.thorough
def test_the_reference_shows_every_public_name(built):
    """Each public class, function and operation has an entry on a page, and that page is not too large."""
    assert missing_in(built / "objects.inv") == []
    assert {page: len(html) for page, html in built_pages(built).items() if len(html.encode()) > LARGEST} == {}


@pytest.mark.thorough
def test_a_page_of_the_reference_begins_with_its_methods(built):
    """Customers: a line for each method, then the methods; fields are a table, without labels of Python."""
    text = (built / "reference/customers.md").read_text(encoding="utf-8")
    row = "| [`get`](#customers.get) | Return one customer. |"
    assert 0 < text.index(row) < text.index("#### `get` {#customers.get}") < text.index("### `Customer` {#Customer}")
    meaning = "State: 0 deleted, 1 active, 2 not active"
    field = f"| `state` | `int` or `None` | {meaning} ([`CustomerState`](models.md#CustomerState)). Read-only. |"
    assert text.index("### `Customer` {#Customer}") < text.index(field)
    assert "| [`bulk_write`](" in text
    everything = "".join(built_pages(built).values())
    assert "instance-attribute" not in everything
    assert 'id="Listing.prefetch"' in everything
    assert 'id="Faults.add"' in everything
    for internal in ("Listing.export_source", "Faults.take"):
        assert f'id="{internal}"' not in everything


@pytest.mark.thorough
def test_a_family_stands_before_the_parts_of_its_records(built):
    """A page begins with the methods of a family, `client.events`, and not with those of a part of its records."""
    for page in sorted((built / "reference").glob("*.md")):
        calls = re.findall(r"^\*\*`client\.(.+?)`\*\*", page.read_text(encoding="utf-8"), re.MULTILINE)
        for number, call in enumerate(calls):
            parent = call.partition(".")[0]
            assert parent not in calls[number:] or call == parent, page.name


@pytest.mark.thorough
def test_a_method_shows_who_may_call_it_and_a_call_with_its_answer(built):
    """Beside a method stand its identities, and a call that the sandbox answered when the site was built."""
    text = (built / "reference/cards.md").read_text(encoding="utf-8")
    entry = text.partition("#### `get` {#cards.get}")[2].partition("#### ")[0]
    assert "May be called by an API user, a device or a customer." in entry
    assert re.search(r'await client\.cards\.get\("\w{20,}"\)', entry)
    assert '"card_number": "' in entry
    assert "May be called by an API user." in text.partition("#### `create` {#cards.create}")[2].partition("#### ")[0]
    assert '<details class="example" open="open">' in (built / "reference/cards.html").read_text(encoding="utf-8")
    assert sum(html.count("A call and its answer") for html in built_pages(built).values()) >= 295  # not logins, say
    for page in (built / "reference").glob("*.md"):
        entries = re.split(r"^#{3,4} ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        operations = [
            text for text in entries if re.search(r"^```python\n(await )?client\.\w+[.(]", text, re.MULTILINE)
        ]
        assert [text.splitlines()[0] for text in operations if "May be called by" not in text] == [], page.name


@pytest.mark.thorough
def test_the_search_knows_methods_by_their_whole_names(built):
    """A method of a family is found as `vouchers.list`, a record as `models.Voucher`, a guide by its title."""
    items = json.loads((built / "search.json").read_text(encoding="utf-8"))["items"]
    titles = {item["location"]: re.sub("<[^>]+>", "", item["title"]) for item in items}
    assert titles["reference/vouchers.html#vouchers.list"] == "vouchers.list"
    assert titles["reference/vouchers.html#Voucher"] == "models.Voucher"
    assert titles["changes.html"] == "Changes and deleted records of any list"


@pytest.mark.thorough
def test_each_page_has_the_version_of_the_package(built):
    """The version is in the header of each page, where it leads to the repository or the changelog, and at the foot."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    address = urls.get("Source") or urls.get("Repository") or r"[./]*changelog\.html"
    for page, html in built_pages(built).items():
        header, foot = html.partition("<main")[0], html.partition("</main>")[2]
        shown = rf'<a href="{address}"[^>]+class="md-source">.*?v{re.escape(__version__)}'
        assert re.search(shown, header, re.DOTALL), page
        assert f"carecloud-async {__version__}" in foot, page
    assert f"# Version: {__version__}\n".encode() in (built / "objects.inv").read_bytes()
    assert not (built / "sitemap.xml").exists()  # without the site's address it would be empty


@pytest.mark.thorough
def test_the_reference_shows_no_internals(built):
    """Constants are shown by their values, and nothing leads through the source or takes what only the package has."""
    text = "".join((built / "reference" / page).read_text(encoding="utf-8") for page in ("client.md", "outbox.md"))
    text += (built / "reference/bulk_writes.md").read_text(encoding="utf-8")
    assert "**The guarantee.**" in text
    assert re.search(r"\| `max_connections` \| `int` \| `\d+` \|", text)
    for internal in ("DEFAULT_CONNECTIONS", "**How.**", "**Where to begin.**", "`caller`", "`_bulk`"):
        assert internal not in text


@pytest.mark.thorough
def test_each_page_is_markdown_beside_its_html(built):
    """`page.md` is beside `page.html`, which names it; its links lead to Markdown, and no link is dead."""
    pages = {path.relative_to(built).as_posix(): path.read_text(encoding="utf-8") for path in built.rglob("*.md")}
    html = {page: text for page, text in built_pages(built).items() if page != "404.html"}
    assert set(pages) == {page.replace(".html", ".md") for page in html}
    for page, text in html.items():
        name = page.rpartition("/")[2].replace(".html", ".md")
        assert f'<link rel="alternate" type="text/markdown" href="./{name}">' in text
    for page, text in pages.items():
        for file, anchor in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            target = (built / page).parent / file if file else built / page
            assert target.is_file(), (page, file)
            known = set(re.findall(r"\{#([\w.]+)[ }]", text_of(target))) | slugs(target)
            assert not anchor or anchor in known, (page, file, anchor)


@pytest.mark.thorough
def test_the_index_for_machines_is_complete(built):
    """`llms.txt` has each page of the navigation with a sentence, `llms-full.txt` the text of all."""
    index = (built / "llms.txt").read_text(encoding="utf-8")
    whole = (built / "llms-full.txt").read_text(encoding="utf-8")
    links = re.findall(r"^- \[[^\]]+\]\((\S+)\): \S.*[.:]$", index, re.MULTILINE)
    assert links == [file.replace("README.md", "index.md") for file in navigation(settings()["nav"])]
    assert len(links) == index.count("\n- ")
    assert index.startswith("# carecloud-async\n\n> ")
    for link in links:
        assert (built / link).read_text(encoding="utf-8").strip() in whole


def test_the_site_is_served(tmp_path):
    """`python -m docs serve` answers with the pages that were built, on loopback alone."""
    (tmp_path / "index.html").write_text("<h1>carecloud-async</h1>", encoding="utf-8")
    with command.server(tmp_path, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert server.server_address[0] == "127.0.0.1"
            with urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=60) as answer:
                assert answer.read() == b"<h1>carecloud-async</h1>"
        finally:
            server.shutdown()
            thread.join()


def test_the_index_in_the_repository_is_that_of_the_pages():
    """`llms.txt` beside the README names each page: `python -m docs index` writes it."""
    assert (ROOT / "llms.txt").read_text(encoding="utf-8") == repository_index(DOCS)
