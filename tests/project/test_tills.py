"""The samples of docs/tills.md in other languages, as far as this machine has their compilers."""

import re
import shutil
import subprocess

import pytest
from project_files import ROOT

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize(
    ("language", "file", "command"),
    [("java", "Till.java", ["javac", "-Xlint:all", "-Werror"]), ("php", "till.php", ["php", "-l"])],
)
def test_the_sample_compiles(tmp_path, language, file, command):
    """The sample is a whole program of its language."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} has no compiler here")
    page = (ROOT / "docs/tills.md").read_text(encoding="utf-8")
    (tmp_path / file).write_text(re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    done = subprocess.run([*command, file], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
