"""A fresh environment over the packages of this one, for tests of what pip installs."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


class Fresh:
    """An environment in a new folder that sees this one's packages, its editable ones too.

    Parameters
    ----------
    folder : where to make it.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder)  # without a pip of its own: this one's can install there
        self._python = str(folder / "bin" / "python")
        site = next((folder / "lib").glob("python*")) / "site-packages"
        (site / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n")

    def install(self, package: Path, *words: str) -> None:
        """Install a package from its folder, with further words for pip."""
        pip = [sys.executable, "-m", "pip", "--python", self._python, "install", "--quiet", "--no-deps", "--no-index"]
        _said([*pip, "--no-build-isolation", *words, str(package)], package)

    def run(self, folder: Path, *words: str, seconds: float = 300) -> str:
        """Run a module of this environment in a folder, for so long at most; returns what it prints."""
        return _said([self._python, "-m", *words], folder, seconds)


def _said(words: list[str], folder: Path, seconds: float = 300) -> str:
    done = subprocess.run(words, cwd=folder, text=True, capture_output=True, timeout=seconds)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout
