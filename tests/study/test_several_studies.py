"""Several studies run from one command, which says what those that are published took."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from matchopt.cli import main
from matchopt.errors import DataError, FormatError, UnknownName
from matchopt.library import problems_folder
from matchopt.study import find_studies, runtimes
from matchopt.study.runtimes import page

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "studies"
STUDY = """
title = "{title}"
kind = "mapping"
by = ["solver"]
show = ["weight_error"]
[fixed]
target = "row8"
[[runs]]
sweep = {{ solver = ["{solver}"] }}
[[plots]]
name = "errors"
title = "Errors"
x = "hardware_seed"
y = "weight_error"
"""


pytestmark = pytest.mark.usefixtures("shared_processes")


def folder_of(place: Path, **solvers: str) -> Path:
    """A folder of studies of one mapping each."""
    place.mkdir()
    for name, solver in solvers.items():
        (place / f"{name}.toml").write_text(STUDY.format(title=f"Study {name}", solver=solver))
    return place


def test_all_are_those_that_ship(tmp_path: Path) -> None:
    """But for the demo's; words may be names, files and folders, each study once, and what is nothing is named."""
    names = [study.name for study in find_studies(["all"])]
    files = {path.stem for path in (problems_folder() / "studies").glob("*.toml")}
    assert len(names) == len(set(names)) and files - set(names) == {"demo", "demo-quick"}
    mine = folder_of(tmp_path / "mine", b="random", a="random")
    found = find_studies([str(mine), "noise", str(problems_folder() / "studies" / "demo.toml")])
    assert [study.name for study in found] == ["a", "b", "noise", "demo"]
    with pytest.raises(FormatError, match="two studies are called noise; name each once"):
        find_studies(["noise", "all"])
    with pytest.raises(FormatError, match=r"there is no \.toml file in it"):
        find_studies([str(tmp_path)])
    with pytest.raises(UnknownName, match="unknown study 'nois'"):
        find_studies(["nois"])


def test_runtimes_are_sums_of_the_runs(tmp_path: Path) -> None:
    """Training by the processor's seconds, solving by the solver's; failed runs count, series are no studies."""
    (tmp_path / "t.csv").write_text("seed,error,seconds,training_seconds,cpu_seconds\n0,,120,90,60\n1,broken,,,\n")
    (tmp_path / "m.csv").write_text("seed,seconds,solver_seconds\n0,30,12\n1,60,24\n")
    for name, text in (("m-series", "seed,epoch,loss\n0,1,2\n"), ("alone", "seconds\n5\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(DataError, match="no study is published"):
        runtimes(tmp_path)
    for name in ("t", "m", "m-series"):
        (tmp_path / f"{name}.md").touch()
    assert runtimes(tmp_path) == [
        ["m", "2", "1.5", "0.6", "60"],
        ["t", "2", "2.0", "1.0", "120"],
        ["all", "4", "3.5", "1.6", "120"],
    ]


def test_the_published_runtimes_are_those_of_the_tables() -> None:
    """The committed page is what the committed tables say, and has every study that ships."""
    assert (PUBLISHED / "runtimes.md").read_text() == page(PUBLISHED)
    assert {name for name, *_ in runtimes(PUBLISHED)} == {study.name for study in find_studies(["all"])} | {"all"}


@pytest.mark.slow
def test_one_command_runs_resumes_and_publishes(tmp_path: Path) -> None:
    """Of two studies one loses its result: the other is used again, and all that was published is there again."""
    command = ["reproduce", str(folder_of(tmp_path / "mine", a="random", b="greedy")), "--jobs", "1"]
    command += ["--output", str(tmp_path / "out"), "--publish", str(tmp_path / "pages")]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0 and "study 2 of 2: b" in first.stderr, first.output
    names = {f"{name}{end}" for name in "ab" for end in (".md", ".csv", "-errors.svg")} | {"runtimes.md"}
    assert {path.name for path in (tmp_path / "pages").iterdir()} == names
    kept = {name: (tmp_path / "pages" / name).read_bytes() for name in names}
    (tmp_path / "out" / "b" / "cpu" / "results.jsonl").unlink()
    for name in names:
        (tmp_path / "pages" / name).unlink()
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0 and again.stdout.count("1 run, 1 of them from an earlier run") == 1, again.output
    assert {path.name for path in (tmp_path / "pages").iterdir()} == names
    for name in ("a.md", "a.csv", "a-errors.svg", "b.md", "b-errors.svg"):  # b.csv has new seconds
        assert (tmp_path / "pages" / name).read_bytes() == kept[name], name
