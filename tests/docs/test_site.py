"""The documentation site: all of it in the navigation, every public name in the reference, built offline and whole."""

import importlib
import importlib.util
import posixpath
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def loaded(name: str) -> Any:
    """A module of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES_TOOL = loaded("site_pages")


@pytest.mark.parametrize("door", PAGES_TOOL.DOORS)
def test_every_public_name_is_in_the_reference(door: str) -> None:
    """Under the name of the place where it is defined, which is found there, and once."""
    module = importlib.import_module(door)
    public = set(getattr(module, "__all__", None) or {n for n in vars(module) if n[0] != "_"}) - {"__version__"}
    public = {n for n in public if not isinstance(getattr(module, n), type(importlib))}  # rooms behind the door
    named = PAGES_TOOL.names_of(door)
    assert public == set(named)
    page = PAGES_TOOL.reference(door)
    assert sorted(re.findall(r"^::: (\S+)$", page, re.M)) == sorted(named.values())
    for name, place in named.items():
        package, _, own = place.rpartition(".")
        assert getattr(importlib.import_module(package), own) is getattr(module, name), place


def test_every_page_is_in_the_navigation_and_on_the_map_for_agents() -> None:
    """`mkdocs.yml` names each document once, `docs/llms.txt` all but single studies; neither names one that is gone."""
    nav = re.findall(r"(?:- |: )([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert sorted(page for page in nav if not page.startswith("reference/")) == PAGES
    listed = re.findall(r"\]\(([\w/-]+\.md)\)", (DOCS / "llms.txt").read_text())
    assert sorted(listed) == [page for page in PAGES if not page.startswith("studies/")]


def test_the_agents_page_names_what_exists() -> None:
    """Its commands are targets of make, its paths are there, and it tells nothing of one machine."""
    text = (ROOT / "AGENTS.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
    paths = re.findall(r"`((?:docs|matchopt|plugins|tests|benches|problems|examples|tools)/[\w./*-]*)`", text)
    assert len(paths) > 8 and all(list(ROOT.glob(path.rstrip("/"))) for path in paths if "PART" not in path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Parameters\n----------\na, b : one of *these*\n    or\nc : d : e.",
            ["- `a`, `b`: one of \\*these\\* or", "- `c`: d : e."],
        ),
        ("Raises\n------\nE\n    if h[i].\n\nReturns\n-------\nint\n    n.", ["- `E`: if h\\[i\\].", "- `int`: n."]),
        ("Examples\n--------\nSo:\n\n>>> 1 + 1\n2\n", ["```python", ">>> 1 + 1", "2"]),
        ("Says `x[0]` and x_1.", ["Says `x[0]` and x\\_1."]),
    ],
)  # fmt: skip
def test_docstrings_become_markdown(text: str, wanted: list[str]) -> None:
    """Sections become lists and code, and no letter of prose means anything but itself."""
    pytest.importorskip("griffe")
    lines = loaded("site_docstrings").markdown(text).splitlines()
    assert [line for line in wanted if line not in lines] == [] and "---" not in "".join(lines)


class Links(HTMLParser):
    """What a page leads to, and what a browser loads for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads, self.loads, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.leads.append(found["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in found:
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") != "canonical":
            self.loads.append(found["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built without a warning."""
    for needed in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(needed)
    site = tmp_path_factory.mktemp("docs") / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser chromium")
def test_pages_on_the_disk_are_searched(site: Path, tmp_path: Path) -> None:
    """A word that is on many pages is found from a page of a folder, by a browser that gets nothing from a server."""
    page = f"{(site / 'studies/noise.html').as_uri()}?q=crossbar"
    words = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
             "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--dump-dom", page]  # fmt: skip
    seen = subprocess.run(words, capture_output=True, text=True, timeout=200).stdout
    found = re.search(r'md-search-result__meta">(\d+) matching documents', seen)
    assert found is not None and int(found[1]) > 5
    assert "/crossbars.html?h=crossbar" in seen


@pytest.mark.slow
def test_the_site_builds_strictly_and_offline(site: Path) -> None:
    """No warning; nothing loaded from elsewhere; all pages are reached from the first, which shows the three paths."""
    pages = {path.relative_to(site).as_posix(): Links(path.read_text()) for path in site.rglob("*.html")}
    assert not [load for page in pages.values() for load in page.loads if re.match(r"(\w+:)?//", load)]
    reached, left = set(), ["index.html"]
    while left:
        page = left.pop()
        for link in pages[page].leads if page not in reached else ():
            to = posixpath.normpath(
                posixpath.join(posixpath.dirname(page), link.partition("#")[0] or posixpath.basename(page))
            )
            if not re.match(r"\w+:", link):
                assert (site / to).exists(), f"{page} leads to {link}"
                left += [to] if to in pages else []
        reached.add(page)
    assert set(pages) - reached <= {"404.html"}
    first = pages["index.html"].text
    assert all(path in first for path in ("I have a chip", "I write solvers", "I do research"))
    assert "realised" in pages["reference/matchopt.html"].text and (site / "llms.txt").is_file()


def test_the_list_of_examples_names_what_is_there() -> None:
    """Every package that installs, and nothing that is gone."""
    listed = set(re.findall(r"\]\(([\w.-]+)\)", (ROOT / "examples" / "README.md").read_text()))
    there = {path.name for path in (ROOT / "examples").iterdir()}
    assert {path.parent.name for path in (ROOT / "examples").glob("*/pyproject.toml")} <= listed <= there
