"""`matchopt.kernels.compiled`: what the cache of compiled code depends on."""

import shutil
import subprocess
import sys
from pathlib import Path

from matchopt.kernels import compiled


def digest_of(folder):
    """The digest a copy of the module takes for the sources beside it."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import compiled; print(compiled._DIGEST)"
    run = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_an_edit_anywhere_voids_the_cache(tmp_path):
    """Editing any module of the package changes the name that compiled functions are cached under."""
    for source in Path(compiled.__file__).parent.glob("*.py"):
        shutil.copy(source, tmp_path)
    assert digest_of(tmp_path) == compiled._DIGEST
    with (tmp_path / "runs.py").open("a") as file:
        file.write("# edited\n")
    assert digest_of(tmp_path) != compiled._DIGEST


def test_names_carry_the_digest():
    """The digest is part of every compiled function's name."""

    def probe():
        return 1

    assert compiled.compiled(probe).py_func.__qualname__.endswith(compiled._DIGEST)
