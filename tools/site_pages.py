"""Hooks of the documentation site: the reference of every public name, and files outside docs/ that pages link to."""

import ast
import os
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OUTSIDE = "source"  # where the site has files of the repository that are no documents
DOORS = ("matchopt", "matchopt.network", "matchopt.kernels", "matchopt.testing")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(?=\))")
ABOUT = {
    "matchopt": "What users and plugins need; each name loads on first use.",
    "matchopt.network": "Trained networks, their chips and what becomes of them; training methods.",
    "matchopt.kernels": "The compiled loops ([how to use them](../kernels.md)).",
    "matchopt.testing": "The conformance kit for solvers ([the tutorial](../plugin-tutorial.md)).",
}
# Rooms of the first door, in the order in which a reader meets them.
TOPICS = {
    "Solving": ("run", "chip_mapper", "plots"),
    "Instances and solutions": ("instances",),
    "Files": ("formats",),
    "Checking and proving": ("checker", "proofs"),
    "Solvers and plugins": ("solver", "bridges", "hookspecs", "claims", "settings"),
    "Reductions and kernels": ("reduce", "kernels"),
    "Errors": ("errors",),
}


def names_of(door: str) -> dict[str, str]:
    """The public names behind a door, and where each is defined: `{"solve": "matchopt.run.solving.solve"}`."""
    return {name: _defined(f"{door}.{name}") for name in _imports(door)}


def reference(door: str) -> str:
    """The reference page of a door."""
    names = names_of(door)
    lines = [f"# `{door}`", "", ABOUT[door], "", f"    from {door} import NAME", ""]
    left = dict(names)
    for topic, rooms in TOPICS.items() if door == "matchopt" else ():
        found = [name for name, place in names.items() if place.split(".")[1] in rooms]
        lines += [f"## {topic}", "", *(line for name in found for line in (f"::: {left.pop(name)}", ""))]
    lines += [] if door == "matchopt" else ["## Names", ""]
    lines += [line for place in left.values() for line in (f"::: {place}", "")]
    return "\n".join(lines)


def on_files(files, config):
    """Add the reference, and what pages link to outside docs/."""
    from mkdocs.structure.files import File

    for door in DOORS:
        page = f"reference/{door.rpartition('.')[2]}.md"
        files.append(File.generated(config, page, content=reference(door)))
    pages, seen = [DOCS / file.src_uri for file in files.documentation_pages() if not file.generated_by], set()
    while pages:
        page = pages.pop()
        for path in sorted(_linked_outside(page) - seen):
            seen.add(path)
            files.append(File.generated(config, _uri(path), abs_src_path=str(path)))
            pages += [path] if path.suffix == ".md" else []
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links out of docs/ to where the site has those files."""
    del config, files
    uri = page.file.src_uri
    real = ROOT / uri.removeprefix(f"{OUTSIDE}/") if uri.startswith(f"{OUTSIDE}/") else DOCS / uri

    def led(match):
        path = _target(real, match[1])
        if path is None:
            return match[0]
        return posixpath.relpath(_uri(path), posixpath.dirname(uri) or ".") + (match[2] or "")

    return LINK.sub(led, markdown)


def _linked_outside(page: Path) -> set[Path]:
    targets = {_target(page, match[1]) for match in LINK.finditer(page.read_text(encoding="utf-8"))}
    return {path for path in targets if path is not None and not path.is_relative_to(DOCS)}


def _target(page: Path, link: str) -> Path | None:
    """The file of the repository that a link means, the README of a folder; None where there is none."""
    path = Path(os.path.normpath(page.parent / link))
    path = path / "README.md" if path.is_dir() else path
    return path if path.is_file() and path.is_relative_to(ROOT) else None


def _uri(path: Path) -> str:
    inside = path.is_relative_to(DOCS)
    return path.relative_to(DOCS).as_posix() if inside else f"{OUTSIDE}/{path.relative_to(ROOT).as_posix()}"


def _imports(module: str) -> dict[str, str]:
    """The names that a package takes from its modules, with the module that each is taken from."""
    folder = ROOT.joinpath(*module.split("."))
    file = next((f for f in (folder / "__init__.pyi", folder / "__init__.py") if f.is_file()), None)
    found = {}
    for node in ast.parse(file.read_text()).body if file else ():
        if isinstance(node, ast.ImportFrom):
            source = f"{module}.{node.module}" if node.level else str(node.module)
            if source.startswith("matchopt"):
                found |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
    return found


def _defined(place: str) -> str:
    """Where a name is defined, through packages that pass it on."""
    package, _, name = place.rpartition(".")
    passed = _imports(package).get(name)
    return place if passed is None or passed == place else _defined(passed)
