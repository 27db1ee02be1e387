"""Compare what the SDK knows with a version of the vendor's description: `python -m tests.contract FILE`.

Prints each fact that is gone or new. Exits with 0 if nothing differs, with 1 if something does, with 2 if the command
or the file is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.contract import manifest
from tests.contract.compare import differences
from tests.contract.description import UnreadableError, read
from tests.contract.facts import Facts

#: Where the vendor's description lies beside a checkout, if it does.
BESIDE = Path(__file__).parents[2].parent / "shared/api/openapi.yaml"


def main(arguments: Sequence[str] | None = None, *, beside: Path = BESIDE) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: those of the command line.
        beside: the description that is compared if none is named.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.file is None:
        if not beside.exists():
            parser.error("name the description to compare with")
        given.file = beside
    try:
        return _run(given)
    except UnreadableError as error:
        sys.stderr.write(f"tests.contract: {error}\n")
        return 2


def _run(given: argparse.Namespace) -> int:
    now = read(given.file)
    if given.write_manifest:
        given.manifest.write_text(manifest.dumps(now), encoding="utf-8")
        return 0
    lines = differences(_known(given.manifest), now)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if lines else 0


def _known(path: Path) -> Facts:
    try:
        return manifest.load(path)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"cannot read the manifest: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=(__doc__ or "").strip())
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="an OpenAPI description, YAML or JSON")
    parser.add_argument(
        "--write-manifest",
        action="store_true",
        help="write what FILE says as what SDK and sandbox know",
    )
    parser.add_argument("--manifest", type=Path, default=manifest.MANIFEST, help="another manifest than the SDK's own")
    return parser


if __name__ == "__main__":
    sys.exit(main())
