"""`python -m docs` builds the site into `docs/site/`, `serve` builds and serves it, `index` writes `llms.txt`."""

from __future__ import annotations

import argparse
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from docs.builder.machines import repository_index

DOCS = Path(__file__).parent
SITE = DOCS / "site"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__)
    parser.add_argument("action", nargs="?", choices=["build", "serve", "index"], default="build")
    parser.add_argument("--port", type=int, default=8000, help="where to serve (default 8000)")
    options = parser.parse_args()
    if options.action == "index":
        (DOCS.parent / "llms.txt").write_text(repository_index(DOCS), encoding="utf-8")
        return
    try:
        from docs.builder.build import build
    except ImportError as error:
        parser.error(f"{error.name} is not installed: pip install -e '.[all,docs]'")
    build(DOCS, SITE)
    print(f"The site is in {SITE}.")
    if options.action == "serve":
        with server(SITE, port=options.port) as serving:
            print(f"Open http://127.0.0.1:{serving.server_port}/; Ctrl-C ends it.")
            with suppress(KeyboardInterrupt):
                serving.serve_forever()


def server(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder, on loopback."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(folder)))


if __name__ == "__main__":
    main()
