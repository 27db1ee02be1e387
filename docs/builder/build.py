"""Build the site: write its pages into a folder, let Zensical make the HTML, add the files for machines."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from carecloud_async import __version__
from docs.builder import machines
from docs.builder.catalogue import Catalogue, read
from docs.builder.pages import built_name, built_page, code

#: Names of the repository's address in the package's metadata, the best first.
_REPOSITORY = ("Source", "Repository")
#: What pages show or load.
_ASSETS = ("*.css", "*.svg")


def build(docs: Path, site: Path) -> None:
    """Build the site.

    Args:
        docs: the folder of the pages; the package is beside it.
        site: the folder to write; what it holds is deleted.

    Raises:
        SystemExit: Zensical found something wrong, a dead link say.
    """
    catalogue = read(docs.parent, sorted((docs / "reference").glob("*.md")))
    pages = pages_of(docs, catalogue)
    with TemporaryDirectory() as folder:
        stage = Path(folder)
        shutil.copytree(docs / "theme", stage / "theme")
        settings = stage / "zensical.toml"
        text = settings_text(docs)
        settings.write_text(text, encoding="utf-8")
        for name, page in pages.items():
            path = stage / "pages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page, encoding="utf-8")
        for asset in (path for pattern in _ASSETS for path in docs.glob(pattern)):
            shutil.copy(asset, stage / "pages")
        command = [sys.executable, "-m", "zensical", "build", "-f", str(settings), "--strict"]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise SystemExit(done.returncode)
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(stage / "site", site)
    project = tomllib.loads(text)["project"]
    (site / "sitemap.xml").unlink()  # it is empty: the address of the site is not known
    machines.write(site, pages, settings=project)
    machines.name_search_results(site)
    machines.write_inventory(site, catalogue.inventory(), project=project["site_name"])


def settings_text(docs: Path) -> str:
    """Return the settings of Zensical, with the version of the package and the address of its repository.

    While there is no repository that everybody can open, the version leads to the changelog.
    """
    text = (docs / "zensical.toml").read_text(encoding="utf-8").replace("README.md", "index.md")
    project = tomllib.loads((docs.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    urls = project["urls"]
    address = next((urls[name] for name in _REPOSITORY if name in urls), "changelog.html")
    shown = f"{project['name']} {__version__}"
    text = text.replace('copyright = "', f"copyright = '{shown}. ", 1).replace('CareCloud."', "CareCloud.'", 1)
    own = [f'repo_url = "{address}"', f'repo_name = "{project["name"]}"', f'extra.release = "v{__version__}"']
    return text.replace("[project]\n", "\n".join(["[project]", *own, ""]), 1)


def pages_of(docs: Path, catalogue: Catalogue) -> dict[str, str]:
    """Return the name of each page on the site, and its Markdown."""
    files = [path for path in sorted(docs.rglob("*.md")) if "site" not in path.relative_to(docs).parts]
    pages = {built_name(path.relative_to(docs).as_posix()): built_page(path, docs, catalogue) for path in files}
    for path in sorted((docs / "examples").rglob("*.py")):
        pages[built_name(path.relative_to(docs).as_posix())] = code(path)
    return pages
