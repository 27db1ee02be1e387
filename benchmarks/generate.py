"""Generates a client from the vendor's OpenAPI description into a temporary folder, for the run only.

The description is not part of this repository: without it, or without openapi-python-client, that peer is left out and
the table says so.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

DESCRIPTION = Path("..", "shared", "api", "openapi.yaml")
PACKAGE = "generated_carecloud"
#: The environment variable that tells children where the package is.
FOLDER_VARIABLE = "BENCHMARK_GENERATED_CLIENT"


@contextmanager
def generated_client() -> Iterator[tuple[Path | None, str]]:
    """Generate the client; the value is the folder that holds the package, or `None` and why there is none."""
    generator = shutil.which("openapi-python-client", path=str(Path(sys.executable).parent))
    if not DESCRIPTION.exists():
        yield None, f"{DESCRIPTION} is not there"
    elif generator is None:
        yield None, "openapi-python-client is not installed"
    else:
        with TemporaryDirectory() as folder:
            problem = _generate(generator, Path(folder))
            yield (None, problem) if problem else (Path(folder), "")


def _generate(generator: str, folder: Path) -> str:
    config = folder / "config.yaml"
    config.write_text("post_hooks: []\n")
    options = ["--path", str(DESCRIPTION), "--config", str(config), "--meta", "none", "--overwrite"]
    options += ["--output-path", str(folder / PACKAGE)]
    run = subprocess.run([generator, "generate", *options], capture_output=True, text=True, check=False)
    if run.returncode or not (folder / PACKAGE / "__init__.py").exists():
        lines = (run.stdout + run.stderr).strip().splitlines()
        return f"generation failed: {lines[0] if lines else run.returncode}"
    return ""
