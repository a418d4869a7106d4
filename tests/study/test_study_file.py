"""Study files say what is run, and say clearly what is wrong with them."""

import os
from pathlib import Path

import pytest

from matchopt.errors import FormatError, UnknownName
from matchopt.grid.task import Place
from matchopt.study import find_study, list_studies, read_study
from matchopt.study.engine import task_of

WHOLE = """
title = "Two methods"
kind = "mapping"
by = ["solver"]
show = ["validation"]
[fixed]
law = "binary"
[[runs]]
label = "a"
set = { time_limit = 3.0 }
sweep = { solver = ["hungarian", "greedy"], hardware_seed = [0, 1, 2] }
paper = { sweep = { hardware_seed = [0, 1, 2, 3, 4] } }
[[runs]]
set = { solver = "random", law = "gaussian" }
[[plots]]
name = "p"
title = "t"
x = "fan_in_ratio"
y = "validation"
[[published]]
label = "them"
at = { fan_in_ratio = 1.0 }
column = "validation"
value = 97.0
source = "a paper"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_runs_are_the_product_of_what_a_block_sweeps_over(tmp_path: Path) -> None:
    """In the order of the file, at each scale."""
    study = read_study(written(tmp_path, WHOLE))
    assert study.name == "mine"
    assert [(run["solver"], run["hardware_seed"]) for run in study.runs["cpu"][:6]] == [
        (solver, seed) for solver in ("hungarian", "greedy") for seed in (0, 1, 2)
    ]
    assert len(study.runs["cpu"]) == 7
    assert len(study.runs["paper"]) == 11


def test_an_empty_sweep_leaves_a_block_to_the_papers_scale(tmp_path: Path) -> None:
    """Only where the paper's scale says what to sweep over; an empty list alone is a mistake."""
    text = WHOLE.replace(
        'solver = ["hungarian", "greedy"], hardware_seed = [0, 1, 2]', 'solver = ["greedy"], hardware_seed = []'
    )
    runs = read_study(written(tmp_path, text)).runs
    assert (len(runs["cpu"]), len(runs["paper"])) == (1, 6)
    with pytest.raises(FormatError, match=r"sweep\.solver must be a list of values"):
        read_study(written(tmp_path, text.replace('solver = ["greedy"]', "solver = []")))


def test_a_block_overrides_what_is_fixed(tmp_path: Path) -> None:
    """Its own settings win over [fixed], for its own runs only; what it leaves open stays fixed."""
    runs = read_study(written(tmp_path, WHOLE)).runs["cpu"]
    assert [run["law"] for run in runs] == ["binary"] * 6 + ["gaussian"]
    assert runs[0]["time_limit"] == 3.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "mapping"', 'kind = "cooking"', "kind must be one of training, mapping, found 'cooking'"),
        ('by = ["solver"]', "by = 3", "by must be a list of 1 or more texts, found 3"),
        ("[fixed]", "[fixes]", "fixes is unknown"),
        ('label = "a"', 'lable = "a"', "runs.0.lable is unknown"),
        ("hardware_seed = [0, 1, 2] }", "hardware_seed = 0 }", "runs.0.sweep.hardware_seed must be a list of values"),
        ("[fixed]", "targets = { small = 3 }\n[fixed]", "targets.small must be a table, found 3"),
        ('name = "p"\n', "", "plots.0 lacks name"),
        ('y = "validation"\n', 'y = "validation"\nform = "pie"\n', "plots.0.form must be one of lines, points"),
        ("value = 97.0", 'value = "97"', "published.0.value must be a finite number, found '97'"),
        ("value = 97.0", "value = inf", "published.0.value must be a finite number, found inf"),
        ('name = "p"', 'name = "../p"', "plots.0.name must be the name of a file, found '../p'"),
        ('title = "Two methods"', "title = ", "is no TOML file"),
        ("value = 97.0", f"value = {'9' * 5000}", "cannot be read: Exceeds the limit (4300 digits)"),
        ("value = 97.0", f"value = {'[' * 5000}", "cannot be read: maximum recursion depth"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    """One sentence names the file, the key and what was found there."""
    assert WHOLE.count(old) == 1
    with pytest.raises(FormatError, match=r"mine\.toml") as caught:
        read_study(written(tmp_path, WHOLE.replace(old, new)))
    assert message in str(caught.value)


def test_a_study_without_runs_is_refused(tmp_path: Path) -> None:
    """A file with no [[runs]] is told that it needs one."""
    with pytest.raises(FormatError, match=r"mine\.toml lacks runs"):
        read_study(written(tmp_path, 'title = "t"\nkind = "mapping"\nby = ["solver"]\nshow = ["test"]\n'))


def test_a_name_that_does_not_exist_is_answered_with_those_that_do() -> None:
    """A misspelt study gets the nearest name; a file that is not there is one sentence."""
    with pytest.raises(UnknownName, match="unknown study 'label-fre'; did you mean 'label-free'"):
        find_study("label-fre")
    with pytest.raises(FormatError, match="cannot be opened"):
        find_study("nowhere.toml")


def test_a_grid_beyond_reason_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """Ten lists of eight values are 10^9 runs; one sentence says so at once."""
    lists = ", ".join(f"o{n} = {list(range(8))}" for n in range(10))
    text = WHOLE.replace('solver = ["hungarian", "greedy"]', f'{lists}, solver = ["greedy"]')
    with pytest.raises(FormatError, match=r"runs\.0: 3221225472 runs up to here, at most 100000 are taken"):
        read_study(written(tmp_path, text))


def test_a_file_as_editors_write_it_is_read(tmp_path: Path) -> None:
    """With a byte order mark, and under a name that is no text."""
    path = tmp_path / os.fsdecode(b"b\xe9d.toml")
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    study = read_study(path)
    assert study.name == "b\ufffdd"
    assert study.runs == read_study(written(tmp_path, WHOLE)).runs


@pytest.mark.parametrize("study", list_studies(), ids=lambda study: study.name)
def test_every_setting_of_every_study_that_ships_is_known(study) -> None:
    """At both scales each run becomes a task, and the study says what it is about."""
    for scale in ("cpu", "paper"):
        assert study.runs[scale]
        for settings in study.runs[scale]:
            task_of(study, settings, Place(Path()))
    assert study.about.strip()
