"""`matchopt.kernels.compiling`: what the cache of compiled code depends on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from matchopt.kernels import compiling

PACKAGE = Path(compiling.__file__).parent
CALL = """
import sys
sys.path.insert(0, sys.argv[1])
from theirs.loops import double
from theirs.more import triple
print(double(2) + triple(2), sum(double.stats.cache_hits.values()))
"""


def test_an_edit_anywhere_voids_the_cache(tmp_path):
    """Editing any module of the package of kernels changes the name that compiled functions are cached under."""
    for source in PACKAGE.glob("*.py"):
        shutil.copy(source, tmp_path)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from compiling import Path, digest; print(digest(Path()))"
    command = [sys.executable, "-c", code, str(tmp_path)]

    def found():
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()

    assert found() == compiling.digest(PACKAGE)
    with (tmp_path / "runs.py").open("a") as file:
        file.write("# edited\n")
    assert found() != compiling.digest(PACKAGE)


@pytest.mark.slow
def test_loops_of_other_packages_are_compiled_anew_when_what_they_call_changes(tmp_path, monkeypatch):
    """A package of somebody else: kept on disk, and void once a module of it that a loop calls into is edited."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "__init__.py").touch()
    head = "from matchopt.kernels import compiled\n"
    (folder / "more.py").write_text(f"{head}@compiled\ndef triple(x):\n    return 3 * x\n")
    loops = f"{head}from theirs.more import triple\n@compiled\ndef double(x):\n    return triple(x) - x\n"
    (folder / "loops.py").write_text(loops)

    def called():
        command = [sys.executable, "-c", CALL, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert called() == ["10", "0"] and called() == ["10", "1"]
    (folder / "more.py").write_text(f"{head}@compiled\ndef triple(x):\n    return 5 * x\n")
    assert called() == ["18", "0"]


def test_names_carry_the_digest_and_what_has_no_file_is_compiled_too():
    """The digest is part of every compiled function's name; in an interpreter nothing is kept."""
    space = {"compiled": compiling.compiled}
    exec("@compiled\ndef probe():\n    return 1", space)
    assert space["probe"]() == 1
    assert compiling.compiled(called_nowhere).py_func.__qualname__.endswith(compiling.digest(Path(__file__).parent))


def called_nowhere():
    return 1
