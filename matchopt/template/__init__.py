"""A plugin to start from: `matchopt new-plugin NAME` fills in these files."""

import keyword
import re
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from string import Template

from matchopt.errors import InvalidOption, PluginError
from matchopt.plugins import load_plugins

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def make_plugin(name: str, folder: Path) -> Path:
    """Make the folder `name` below `folder`, holding a plugin with one working solver of that name.

    Parameters
    ----------
    name : name of the solver and of the distribution (after "matchopt-"): lower-case words with dashes between them.
    folder : where the new folder is made; made too if it is missing.

    Returns
    -------
    Path
        the new folder.

    Raises
    ------
    InvalidOption
        for a name of another form, or one that is taken.
    PluginError
        when there is something at the new folder's place already.
    """
    if not _NAME.fullmatch(name):
        raise InvalidOption(f"the name must be lower-case words with dashes between them, found {name!r}")
    if keyword.iskeyword(name):
        raise InvalidOption(f"{name} is a word of Python, which no module can be called; choose another name")
    if name in load_plugins().solvers:
        raise InvalidOption(f"{name} is the name of an installed solver; choose another name")
    made = folder / name
    if made.exists():
        raise PluginError(f"{made} exists already; choose another name or folder")
    slug = name.replace("-", "_")
    words = {"name": name, "slug": slug, "module": f"matchopt_{slug}", "cls": name.title().replace("-", "")}
    if PathFinder.find_spec(words["module"]) is not None:
        raise InvalidOption(f"the package {words['module']} is installed already; choose another name than {name}")
    if re.search(rf"\b{words['cls']}\b", _template("solver.py")) or keyword.iskeyword(words["cls"]):
        words["cls"] += "Solver"  # such as Result, which the file imports, or None
    layout = {
        "pyproject.toml": Path("pyproject.toml"),
        "README.md": Path("README.md"),
        "__init__.py": Path(words["module"], "__init__.py"),
        "solver.py": Path(words["module"], "solver.py"),
        "test_solver.py": Path("tests", "test_solver.py"),
    }
    for source, place in layout.items():
        (made / place).parent.mkdir(parents=True, exist_ok=True)
        (made / place).write_text(Template(_template(source)).substitute(words), encoding="utf-8")
    return made


def _template(source: str) -> str:
    return files(__package__).joinpath(f"{source}.tmpl").read_text(encoding="utf-8")
