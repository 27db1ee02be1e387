"""The Python that Spark starts for its workers, told before Spark fails with a trace of Java."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

__all__ = ["problem_of_workers"]


def problem_of_workers(variables: Mapping[str, str], executable: str) -> str | None:
    """Return why Spark's workers would probably not find this package; `None` if they would.

    Spark starts `python3` of the path, unless `PYSPARK_PYTHON` or `spark.pyspark.python` names another one. In an
    environment that is not activated that is the system's, which has none of the environment's packages.

    Args:
        variables: the environment's variables.
        executable: the Python of this process.
    """
    name = variables.get("PYSPARK_PYTHON") or "python3"
    found = shutil.which(name, path=variables.get("PATH", os.defpath))
    # Links are not followed: the Python of an environment is a link to the system's.
    if found is not None and os.path.dirname(os.path.abspath(found)) == os.path.dirname(os.path.abspath(executable)):
        return None
    return (
        f"Spark will start its workers with {found or name}, which is not the Python of this program and may lack "
        f"carecloud-async: set PYSPARK_PYTHON={executable} before the session starts, or activate the environment"
    )
