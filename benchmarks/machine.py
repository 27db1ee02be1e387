"""Where the figures come from: the machine, Python and the libraries."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from carecloud_async import __version__

_LIBRARIES = ("httpx", "httpx2", "aiohttp", "msgspec", "attrs", "cattrs", "pyarrow", "openapi-python-client")


def machine() -> str:
    """Describe the machine in a line."""
    return f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def versions() -> str:
    """Name Python, this SDK and the libraries with their versions."""
    libraries = [f"Python {platform.python_version()}", f"carecloud-async {__version__}"]
    for library in _LIBRARIES:
        try:
            libraries.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            libraries.append(f"{library} (not installed)")
    return ", ".join(libraries)


def command() -> str:
    """Return the command that is running, as typed."""
    return " ".join(["python -m benchmarks", *sys.argv[1:]])


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
