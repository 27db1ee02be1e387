"""Why Spark cannot run here. For tests, and for `python -m tests`, which has nothing but the standard library."""

import importlib.util
import os
import shutil
from pathlib import Path


def why_no_spark():
    """Return the reason, or `None` where Java and PySpark are there."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed: pip install 'carecloud-async[spark]'"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and (Path(home) / "bin" / "java").exists()):
        return "java is not installed: Spark needs Java 17 or 21"
    return None
