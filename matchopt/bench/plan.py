"""What is compared: instances, solvers with their options, seeds, and what each run may use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Interval

from matchopt.errors import DataError, InvalidOption, UnknownName
from matchopt.formats import CatalogueEntry, file_sha256, read_instance, read_problems
from matchopt.instances import Instance
from matchopt.plugins import Registry, load_plugins
from matchopt.run.choice import AUTO
from matchopt.run.stages import stage_options
from matchopt.settings import NonNegativeFloat, NonNegativeInt, OptionValue, PositiveFloat, PositiveInt, check_fields
from matchopt.settings import option_values as values_of

SHIPPED = "shipped"  # all instances that ship with matchopt
GRADED = "graded"  # problems that are made from recipes


@dataclass(frozen=True)
class BenchInstance:
    """An instance of a bench.

    Parameters
    ----------
    name : for tables.
    path : of its file; whoever performs a run sees it there.
    sha256 : of the file.
    best_value, best_bound : the best ones known before, None for none.
    """

    name: str
    path: Path
    sha256: str
    best_value: float | None = None
    best_bound: float | None = None

    def read(self) -> Instance:
        """The instance; raises DataError when the file has changed since."""
        return _read(self.path, self.sha256)


@dataclass(frozen=True)
class Variant:
    """A solver, or a pipeline, with options.

    Parameters
    ----------
    solver : its name, names with + between them, or "auto".
    options : as `matchopt.solve` takes them; those left out have their defaults.
    """

    solver: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What tables call it: its name, and the options that were given."""
        return " ".join([self.solver, *(f"{name}={value}" for name, value in sorted(self.options.items()))])


@dataclass(frozen=True)
class BenchPlan:
    """A bench: every variant on every instance, once with each seed, all within the same limits.

    Parameters
    ----------
    instances, variants : what is compared on what; at least one of each, no two of one name.
    seeds : 0 .. seeds - 1, >= 1.
    time_limit : seconds of each run by the solver's clock.
    target_gap : a run ends as soon as it is this close to the best value known before (see `metrics.primal_gap`),
        0 .. 1; None for runs that use their time.
    iterations : most passes of a solver's main loop, for work that does not depend on the machine's speed.
    threads, memory_limit, prove_seconds : of each run; see `matchopt.solve`.
    accuracy : whether to measure what mapped networks classify correctly, where their data are here.

    Raises
    ------
    InvalidOption
        for a value out of range, or a target on an instance without a best value.
    """

    instances: tuple[BenchInstance, ...]
    variants: tuple[Variant, ...]
    seeds: PositiveInt = 1
    time_limit: PositiveFloat = 10.0
    target_gap: Annotated[float, Interval(ge=0, le=1)] | None = None
    iterations: NonNegativeInt | None = None
    threads: Annotated[int, Ge(1)] = 1
    memory_limit: PositiveFloat | None = None
    prove_seconds: NonNegativeFloat | None = None
    accuracy: bool = True

    def __post_init__(self) -> None:
        check_fields(self, "bench")
        for what, names in (("instance", [i.name for i in self.instances]), ("solver", self.labels)):
            if not names:
                raise InvalidOption(f"a bench needs at least one {what}")
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise InvalidOption(
                    f"{what} {twice!r} is in the bench twice; name each once, in files of different names"
                )
        for instance in self.instances if self.target_gap is not None else ():
            if instance.best_value is None:
                raise InvalidOption(
                    f"no best value of {instance.name} is known, so there is no target to reach; leave the target gap "
                    "out, or write the best value into the instance's provenance"
                )

    @property
    def labels(self) -> list[str]:
        """What tables call the variants."""
        return [variant.label for variant in self.variants]


def find_instances(words: Iterable[str]) -> tuple[BenchInstance, ...]:
    """The instances that some words mean: files, folders of files, names or patterns of the catalogue, or its groups.

    Groups are "shipped", all that ship, and "graded", all that are made from recipes.

    Raises
    ------
    UnknownName
        for a word that is no file and nothing in the catalogue.
    FormatError, DataError
        for a file that is no instance, or is not here.
    """
    known = read_problems()
    found: dict[str, BenchInstance] = {}  # by path or name, so that two files of one name are seen to be two
    for word in words:
        path = Path(word)
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
            found |= {str(file.absolute()): _from_file(file) for file in files}
        elif path.is_file():
            found[str(path.absolute())] = _from_file(path)
        else:
            found |= {entry.name: _from_catalogue(entry) for entry in _meant(word, known)}
    return tuple(found.values())


def find_variants(
    names: Sequence[str], options: Sequence[tuple[str, OptionValue]] = (), plugin_files: Sequence[Path] = ()
) -> tuple[Variant, ...]:
    """Solvers by name, crossed with the values of their options.

    Parameters
    ----------
    names : of solvers or pipelines; none for every solver that is installed.
    options : ("solver.option", value); an option that comes several times is tried with each value.
    plugin_files : plugin files to load besides the installed plugins.

    Raises
    ------
    UnknownName, PluginError, InvalidOption
        for a solver or an option that does not exist, or a value it does not take.
    """
    registry = load_plugins(plugin_files)
    chosen = list(dict.fromkeys(names or registry.solvers))
    given: dict[str, dict[str, list[OptionValue]]] = {name: {} for name in chosen}
    for text, value in options:
        owner = max((name for name in chosen if text.startswith(f"{name}.")), key=len, default=None)
        if owner is None and "." not in text:
            raise InvalidOption(f"option {text!r} must name its solver, as in {next(iter(chosen), 'solver')}.{text}")
        if owner is None:
            raise UnknownName("solver of an option, which reads solver.option", text.rpartition(".")[0], chosen)
        given[owner].setdefault(text.removeprefix(f"{owner}."), []).append(value)
    return tuple(
        _variant(name, dict(zip(own, values, strict=True)), registry)
        for name, own in given.items()
        for values in product(*own.values())
    )


def _variant(name: str, options: dict[str, OptionValue], registry: Registry) -> Variant:
    """The variant, its options read by their types."""
    if name == AUTO:
        if options:
            raise InvalidOption(f"{AUTO} stands for other solvers and has no options; name one of them")
        return Variant(name)
    stages = [stage.strip() for stage in name.split("+")]
    for stage in stages:
        registry.entry(stage)  # a wrong name is said before the options that belong to it
    per_stage = stage_options(stages, options)
    made = [values_of(registry.make(stage, own)) for stage, own in zip(stages, per_stage, strict=True)]
    return Variant(name, options if len(stages) > 1 else {option: made[0][option] for option in per_stage[0]})


def _meant(word: str, known: Sequence[CatalogueEntry]) -> list[CatalogueEntry]:
    if word == SHIPPED:
        return [entry for entry in known if entry.place == "problems"]
    if word == GRADED:
        return [entry for entry in known if entry.recipe]
    found = [entry for entry in known if fnmatchcase(entry.name, word) or entry.path == word]
    if not found:
        raise UnknownName("instance file, folder or problem", word, [SHIPPED, GRADED, *(entry.name for entry in known)])
    return found


def _from_catalogue(entry: CatalogueEntry) -> BenchInstance:
    return BenchInstance(entry.name, entry.locate(), entry.sha256, entry.best_value, entry.best_bound)


def _from_file(path: Path) -> BenchInstance:
    sha256 = file_sha256(path)
    known = _read(path.absolute(), sha256).provenance
    return BenchInstance(
        path.name.removesuffix(".matchopt"), path.absolute(), sha256, known.best_value, known.best_bound
    )


@lru_cache(maxsize=4)
def _read(path: Path, sha256: str) -> Instance:
    if file_sha256(path) != sha256:
        raise DataError(f"{path} has changed since the bench began; start it again")
    return read_instance(path)


def as_settings(plan: BenchPlan) -> dict[str, Any]:
    """The limits of the plan, by name."""
    names = ("time_limit", "iterations", "threads", "memory_limit", "prove_seconds", "target_gap")
    return {name: getattr(plan, name) for name in names}
