"""Study files: what is run, over which grid, and which table and plots come out of it. TOML, read strictly."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from annotated_types import MinLen

from matchopt.errors import FormatError, UnknownName
from matchopt.formats.sources import Source
from matchopt.grid.own import ChipFiles
from matchopt.library import problems_folder
from matchopt.parts import readable
from matchopt.settings import FiniteFloat, read_object, shown

SUFFIX = ".toml"
ALL, DEMO = "all", "demo"
LABEL = "label"
MAX_RUNS = 100_000  # of one study: years on one machine, and megabytes as a list
Kind = Literal["training", "mapping"]
Scale = Literal["cpu", "paper"]
Axis = Literal["linear", "log"]


@dataclass(frozen=True)
class Published:
    """A figure of the literature, shown beside ours.

    Parameters
    ----------
    label : what it is.
    at : settings it belongs to, such as {"connectivity": 0.0133}.
    value : the figure, in the unit of the column.
    column : the column it compares with.
    source : where it was published.
    """

    label: str
    at: Mapping[str, Any]
    value: int | FiniteFloat
    column: str
    source: str


@dataclass(frozen=True)
class Plot:
    """One figure: a line or a cloud of points for each value of a column.

    Parameters
    ----------
    name : name of the file, without its suffix.
    title : above the figure.
    x, y : columns on the axes; "epoch" on x draws the recorded series called `y` over epochs, the
        name of another series draws it over that.
    lines : column whose values are drawn apart; where `y` names several columns (with spaces between), those are.
    panels : column whose values get a panel each; empty for one panel.
    where : only runs with these settings are drawn.
    form : "lines" joins means over repetitions, with their range as a band; "points" draws every run.
    x_scale, y_scale : "linear" or "log".
    x_label, y_label : text on the axes; empty for the column's name.
    y_from : where the vertical axis begins, in the figure's units (percent for shares); None for all there is.
    """

    name: str
    title: str
    x: str
    y: str
    lines: str = LABEL
    panels: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    form: Literal["lines", "points"] = "lines"
    x_scale: Axis = "linear"
    y_scale: Axis = "linear"
    x_label: str = ""
    y_label: str = ""
    y_from: int | FiniteFloat | None = None


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What a study and its file have in common; see `Study`."""

    title: str
    kind: Kind
    by: Annotated[tuple[str, ...], MinLen(1)]
    show: Annotated[tuple[str, ...], MinLen(1)]
    about: str = ""
    plots: tuple[Plot, ...] = ()
    published: tuple[Published, ...] = ()
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    chips: dict[str, ChipFiles] = field(default_factory=dict)
    correlations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Study(_Question):
    """A question, as a grid of runs.

    Parameters
    ----------
    name : name of the file, without its suffix.
    title : one line.
    about : what is asked, what was scaled down and why, in Markdown.
    kind : "training" or "mapping".
    runs : settings of every run, in order, per scale ("cpu" is the committed one, "paper" the published settings).
    by : columns that tell the rows of the table apart; all else is averaged.
    show : columns of figures in the table.
    plots, published : see there.
    correlations : pairs of columns whose rank correlation over all runs is given.
    targets : networks that several runs share, by name: settings of a training run, or those of `NetworkFiles`.
    chips : measured chips of one's own, by name.
    folder : where paths begin: that of the file.
    """

    name: str
    runs: Mapping[str, tuple[Mapping[str, Any], ...]]
    folder: Path = Path()


@dataclass(frozen=True)
class _Paper:
    """What a block sets and sweeps over at the paper's scale."""

    set: dict[str, Any] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Block(_Paper):
    """A block [[runs]] of a file."""

    label: str = ""
    paper: _Paper = field(default_factory=_Paper)


@dataclass(frozen=True, kw_only=True)
class _File(_Question):
    """A study file as it is written."""

    runs: Annotated[tuple[_Block, ...], MinLen(1)]
    fixed: dict[str, Any] = field(default_factory=dict)


def studies_folder() -> Path:
    """Where the studies that ship with matchopt are."""
    return problems_folder() / "studies"


def list_studies() -> list[Study]:
    """The studies that ship with matchopt, by name."""
    return [read_study(path) for path in sorted(studies_folder().glob(f"*{SUFFIX}"))]


def find_study(name: str) -> Study:
    """A study by its name, or by the path of its file.

    Raises
    ------
    UnknownName
        when there is none.
    FormatError
        when the file is no study.
    """
    if name.endswith(SUFFIX):
        return read_study(Path(name))
    path = studies_folder() / f"{name}{SUFFIX}"
    if not path.is_file():
        raise UnknownName("study", name, [p.stem for p in studies_folder().glob(f"*{SUFFIX}")])
    return read_study(path)


def find_studies(words: Sequence[str]) -> list[Study]:
    """Studies by names, by paths of files or of folders of such files, or "all": those that ship, but for the demo's.

    Raises
    ------
    UnknownName, FormatError
        as `find_study` does; for a folder without studies, and for two studies of one name.
    """
    found: list[Study] = []
    for word in words:
        if word == ALL:
            found += [study for study in list_studies() if not study.name.startswith(DEMO)]
        elif Path(word).is_dir():
            found += [read_study(path) for path in sorted(Path(word).glob(f"*{SUFFIX}"))]
        else:
            found.append(find_study(word))
    names = [study.name for study in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not found:
        what = f"two studies are called {twice}; name each once" if twice else f"there is no {SUFFIX} file in it"
        raise FormatError(f"{' '.join(words)}: {what}")
    return found


def read_study(path: Path) -> Study:
    """Read a study file. Raises FormatError naming the file, the field and what was found."""
    try:
        content = tomllib.loads(Source(path).words)
    except tomllib.TOMLDecodeError as cause:
        raise FormatError(f"{path} is no TOML file: {cause}") from None
    except (ValueError, RecursionError) as cause:  # a number of thousands of digits; lists in lists in lists
        raise cause if isinstance(cause, FormatError) else FormatError(f"{path} cannot be read: {cause}") from None
    file = read_object(_File, content, str(path), FormatError)
    for number, plot in enumerate(file.plots):
        if not plot.name or Path(plot.name).name != plot.name:
            raise FormatError(f"{path}: plots.{number}.name must be the name of a file, found {plot.name!r}")
    runs = {scale: tuple(_expand(file, scale, path)) for scale in get_args(Scale)}
    shared = {name: getattr(file, name) for name in _Question.__dataclass_fields__}
    return Study(name=readable(path.stem), runs=runs, folder=path.absolute().parent, **shared)


def _expand(file: _File, scale: str, path: Path) -> Iterator[Mapping[str, Any]]:
    """The settings of every run: those fixed, those of its block, one combination of what the block sweeps over."""
    total = 0
    for number, block in enumerate(file.runs):
        paper = block.paper if scale == "paper" else _Paper()
        sweep = block.sweep | paper.sweep
        for name, values in sweep.items():
            later = scale == "cpu" and name in block.paper.sweep  # an empty list: runs at the paper's scale only
            if not isinstance(values, list) or not (values or later):
                raise FormatError(f"{path}: runs.{number}.sweep.{name} must be a list of values, found {shown(values)}")
        total += math.prod(map(len, sweep.values()))
        if total > MAX_RUNS:
            raise FormatError(
                f"{path}: runs.{number}: {total} runs up to here, at most {MAX_RUNS} are taken; sweep over less at once"
            )
        for values in product(*sweep.values()):
            chosen = dict(zip(sweep, values, strict=True))
            yield {**file.fixed, LABEL: block.label, **block.set, **paper.set, **chosen}
