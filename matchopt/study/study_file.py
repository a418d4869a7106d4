"""Study files: what is run, over which grid, and which table and plots come out of it. TOML, read strictly."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from matchopt.errors import FormatError, UnknownName
from matchopt.library import problems_folder

SUFFIX = ".toml"
LABEL = "label"


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
    value: float
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
    form: str = "lines"
    x_scale: str = "linear"
    y_scale: str = "linear"
    x_label: str = ""
    y_label: str = ""
    y_from: float | None = None


@dataclass(frozen=True)
class Study:
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
    targets : networks that several runs share: settings of a training run, by name.
    """

    name: str
    title: str
    about: str
    kind: str
    runs: Mapping[str, tuple[Mapping[str, Any], ...]]
    by: tuple[str, ...]
    show: tuple[str, ...]
    plots: tuple[Plot, ...]
    published: tuple[Published, ...]
    targets: Mapping[str, Mapping[str, Any]]
    correlations: tuple[tuple[str, str], ...] = ()


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


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises
    ------
    FormatError
        naming the file, the field and what was found.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as cause:
        raise FormatError(f"{path}: cannot be read: {cause.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise FormatError(f"{path} is no TOML file: {cause}") from None
    read = _Reader(str(path))
    known = {"title", "about", "kind", "by", "show", "fixed", "runs", "plots", "published", "targets", "correlations"}
    read.only(content, known, "")
    kind = read.text(content, "kind")
    if kind not in ("training", "mapping"):
        raise FormatError(f"{path}: kind must be training or mapping, found {kind!r}")
    plots = tuple(read.record(Plot, plot, f"plots.{n}") for n, plot in enumerate(read.tables(content, "plots")))
    for number, plot in enumerate(plots):
        _check_plot(plot, f"{path}: plots.{number}")
    published = tuple(
        read.record(Published, entry, f"published.{n}") for n, entry in enumerate(read.tables(content, "published"))
    )
    fixed = read.table(content, "fixed")
    blocks = read.tables(content, "runs")
    if not blocks:
        raise FormatError(f"{path}: runs: a study needs at least one [[runs]], found none")
    scales = {scale: tuple(_expand(read, fixed, blocks, scale)) for scale in ("cpu", "paper")}
    return Study(
        path.stem,
        read.text(content, "title"),
        read.text(content, "about", ""),
        kind,
        scales,
        read.texts(content, "by"),
        read.texts(content, "show"),
        plots,
        published,
        read.table(content, "targets"),
        read.pairs(content, "correlations"),
    )


def _check_plot(plot: Plot, where: str) -> None:
    allowed = {"form": ("lines", "points"), "x_scale": ("linear", "log"), "y_scale": ("linear", "log")}
    for name, choices in allowed.items():
        if getattr(plot, name) not in choices:
            raise FormatError(f"{where}.{name} must be one of {', '.join(choices)}, found {getattr(plot, name)!r}")


def _expand(
    read: "_Reader", fixed: Mapping[str, Any], blocks: list[dict[str, Any]], scale: str
) -> Iterator[Mapping[str, Any]]:
    """The settings of every run: those fixed, those of its block, one combination of what the block sweeps over."""
    for number, block in enumerate(blocks):
        where = f"runs.{number}"
        read.only(block, {LABEL, "set", "sweep", "paper"}, where)
        chosen = dict(read.table(block, "set", where))
        sweep = dict(read.table(block, "sweep", where))
        other = read.table(block, "paper", where)
        read.only(other, {"set", "sweep"}, f"{where}.paper")
        later = set(read.table(other, "sweep", f"{where}.paper"))  # an empty list: runs at the paper's scale only
        if scale == "paper":
            chosen |= read.table(other, "set", f"{where}.paper")
            sweep |= read.table(other, "sweep", f"{where}.paper")
        for name, values in sweep.items():
            if not isinstance(values, list) or not (values or (scale == "cpu" and name in later)):
                raise FormatError(f"{read.source}: {where}.sweep.{name} must be a list of values, found {values!r}")
        for values in product(*sweep.values()):
            yield {**fixed, LABEL: read.text(block, LABEL, ""), **chosen, **dict(zip(sweep, values, strict=True))}


class _Reader:
    """Reads fields of one file and says where something is wrong."""

    def __init__(self, source: str) -> None:
        self.source = source

    def only(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        for name in table:
            if name not in known:
                place = f"{where}.{name}" if where else name
                raise FormatError(f"{self.source}: {place} is unknown (known: {', '.join(sorted(known))})")

    def text(self, table: Mapping[str, Any], name: str, default: str | None = None) -> str:
        value = table.get(name, default)
        if not isinstance(value, str):
            raise FormatError(f"{self.source}: {name} must be text, found {value!r}")
        return value

    def texts(self, table: Mapping[str, Any], name: str) -> tuple[str, ...]:
        value = table.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise FormatError(f"{self.source}: {name} must be a list of column names, found {value!r}")
        return tuple(value)

    def pairs(self, table: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
        value = table.get(name, [])
        good = isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
        if not good or not all(isinstance(column, str) for pair in value for column in pair):
            raise FormatError(f"{self.source}: {name} must be a list of pairs of column names, found {value!r}")
        return tuple((first, second) for first, second in value)

    def table(self, table: Mapping[str, Any], name: str, where: str = "") -> dict[str, Any]:
        value = table.get(name, {})
        if not isinstance(value, dict):
            raise FormatError(f"{self.source}: {f'{where}.' if where else ''}{name} must be a table, found {value!r}")
        return value

    def tables(self, table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        value = table.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise FormatError(f"{self.source}: {name} must be an array of tables, [[{name}]], found {value!r}")
        return value

    def record(self, cls: Any, table: dict[str, Any], where: str) -> Any:
        self.only(table, set(cls.__dataclass_fields__), where)
        for name, one in cls.__dataclass_fields__.items():
            wanted: Any = {str: str, float: (int, float)}.get(one.type, object)
            if name in table and (not isinstance(table[name], wanted) or isinstance(table[name], bool)):
                raise FormatError(f"{self.source}: {where}.{name} has the wrong type, found {table[name]!r}")
        try:
            return cls(**table)
        except TypeError as cause:
            missing = [name for name in cls.__dataclass_fields__ if f"'{name}'" in str(cause)]
            raise FormatError(f"{self.source}: {where} lacks {', '.join(missing)}") from None
