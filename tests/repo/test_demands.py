"""Nothing that takes an instance ignores a demand that it was not written for."""

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import pytest

import matchopt
from matchopt.checker import check, is_feasible
from matchopt.checker.check import UNDERSTOOD
from matchopt.contract import refusal
from matchopt.errors import InvalidInstance, InvalidSolution, Refused
from matchopt.formats import write
from matchopt.formats.lp import write_lp
from matchopt.formats.mps_write import write_mps
from matchopt.formats.opb import write_opb
from matchopt.formats.orlib_assignment import write_dense, write_sparse
from matchopt.formats.wiring import layers_of, mapping_from, wires_of
from matchopt.instances import (
    INSTANCES,
    Chip,
    ChipArray,
    FullyConnected,
    Gains,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    Rules,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.instances.demands import AT_0_1, DEMANDS
from matchopt.instances.sample_objective import OBJECTIVES
from matchopt.kernels import best_pairs, match_rows, pair_costs
from matchopt.kernels.crossbar import Crossbar
from matchopt.kernels.hard_wired import HardWired
from matchopt.kernels.packing import CellSorter, finite_values, row_blocks
from matchopt.network.converter import summing_layers
from matchopt.network.evaluation import evaluate
from matchopt.network.later import by_weights, on_chips, refitted
from matchopt.network.realised import realise, unmapped
from matchopt.plugins import load_plugins
from matchopt.proofs import certify, certify_infeasible, relaxed_bound
from matchopt.proofs.assignment import certify_assignment
from matchopt.proofs.coupled import coupled
from matchopt.proofs.crossbar import certify_crossbar, kept_bound, split_bound
from matchopt.proofs.effort import Effort
from matchopt.proofs.hard_wired import certify_hard_wired
from matchopt.proofs.infeasible import crowded
from matchopt.proofs.layer import certify_layer
from matchopt.proofs.menus import certify_menus
from matchopt.proofs.parts import certify_parts
from matchopt.proofs.proof_file import proof_of
from matchopt.proofs.separable import separable
from matchopt.proofs.sums import certify_sums
from matchopt.reduce import not_separable, reduction, surrogate, tightened
from matchopt.reduce.layer_program import layers_to_program, program_size
from matchopt.reduce.linearise import linearise
from matchopt.reduce.one_chip import assign_chip, join, not_assignable, not_joinable
from matchopt.reduce.row_sets import not_row_sets, row_sets
from matchopt.reduce.separable import layer_to_assignment
from matchopt.reduce.split import not_splittable, split
from matchopt.solver import Limits, Result, Solver
from matchopt.testing.brute import brute_force
from matchopt.testing.case import Case
from matchopt.testing.tiny import TinyInstance, tiny_instances

STRANGE = "made-up"
SOURCE = Path(matchopt.__file__).parent
PARTS = (Target, Hardware, Gains)
TAKEN = {"Instance", "AnyInstance", "Rules", *(kind.__name__ for kind in (*INSTANCES.values(), *PARTS))}


def _gives(reason: str | None) -> None:
    if reason is not None:
        raise Refused(reason)


def _pairs(kernel: Callable[..., Any], **more: Any) -> Callable[[Instance, Path], Any]:
    """A call of a kernel on the parts of a layer."""

    def call(instance: Instance, folder: Path) -> Any:
        del folder
        assert isinstance(instance, LayerInstance)
        return kernel(instance.target, instance.hardware, gains=instance.rules.gains, drop=False, **more)

    return call


def _solution(instance: Instance) -> Any:
    """The optimum of a tiny instance, found before anything about it was strange."""
    return OPTIMA[instance.digest]


def _nothing_kept(instance: LayerInstance) -> tuple[np.ndarray, np.ndarray]:
    count, neurons, lines = coupled(instance).shape
    return np.zeros((count, lines)), np.zeros((len(coupled(instance).items[1]), neurons, lines))


def _one_bus(instance: Instance) -> LayerInstance:
    """The same layer on one bus, as strange as it is."""
    assert isinstance(instance, LayerInstance)
    return replace(instance, hardware=replace(instance.hardware, bus=np.zeros(instance.hardware.n_neurons, int)))


def _one_chip(instance: Instance) -> NetworkInstance:
    """The same network on one chip that is large enough."""
    assert isinstance(instance, NetworkInstance)
    chip = Hardware(np.ones((sum(layer.n_rows for layer in instance.layers), 4)))
    layers = tuple(replace(layer, hardware=chip) for layer in instance.layers)
    return replace(instance, layers=layers, one_chip=True)


def _on_its_chip(instance: Instance) -> tuple[Any, list[Chip]]:
    """The same layer on a chip that its hardware says it is on."""
    if not isinstance(instance, LayerInstance):
        raise InvalidInstance("its layers are asked below")
    chip = Chip((ChipArray(instance.hardware.weights),))
    return replace(instance, hardware=chip.hardware()), [chip]


def _wired(instance: Instance) -> LayerInstance:
    """The same layer with the cells of the first row hard-wired to its inputs, as strange as it is."""
    assert isinstance(instance, LayerInstance)
    own = np.resize(np.arange(instance.target.n_inputs), instance.hardware.weights.shape)
    return replace(instance, hardware=replace(instance.hardware, input=own), rules=Rules(drop=True))


# Every function that takes an instance or a part of one and can be called by itself, and how.
ENTRANCES: dict[Callable[..., Any], Callable[[Any, Path], Any]] = {
    check: lambda instance, folder: check(instance, _solution(instance)),
    is_feasible: lambda instance, folder: is_feasible(instance, _solution(instance)),
    certify: lambda instance, folder: certify(instance, _solution(instance)),
    certify_assignment: lambda instance, folder: certify_assignment(instance, _solution(instance), Effort()),
    certify_layer: lambda instance, folder: certify_layer(instance, _solution(instance), Effort()),
    certify_menus: lambda instance, folder: certify_menus(instance, _solution(instance), Effort()),
    certify_hard_wired: lambda instance, folder: certify_hard_wired(_wired(instance), _solution(instance), Effort()),
    certify_crossbar: lambda instance, folder: certify_crossbar(instance, _solution(instance), Effort()),
    certify_parts: lambda instance, folder: certify_parts(instance, _solution(instance), Effort()),
    certify_sums: lambda instance, folder: certify_sums(instance, _solution(instance), Effort()),
    coupled: lambda instance, folder: coupled(instance),
    split_bound: lambda instance, folder: split_bound(_one_bus(instance), np.zeros(coupled(_one_bus(instance)).shape)),
    kept_bound: lambda instance, folder: kept_bound(_one_bus(instance), *_nothing_kept(_one_bus(instance))),
    certify_infeasible: lambda instance, folder: certify_infeasible(instance),
    crowded: lambda instance, folder: crowded(instance),
    proof_of: lambda instance, folder: proof_of(instance, _solution(instance)),
    relaxed_bound: lambda instance, folder: relaxed_bound(instance),
    separable: lambda instance, folder: separable(instance),
    reduction: lambda instance, folder: [reduction(instance, to) for to in _below(instance)],
    surrogate: lambda instance, folder: surrogate(instance),
    tightened: lambda instance, folder: tightened(instance),
    split: lambda instance, folder: split(instance),
    not_splittable: lambda instance, folder: _gives(not_splittable(instance)),
    not_joinable: lambda instance, folder: _gives(not_joinable(_one_chip(instance))),
    join: lambda instance, folder: join(_one_chip(instance)),
    not_assignable: lambda instance, folder: _gives(not_assignable(_one_chip(instance))),
    assign_chip: lambda instance, folder: assign_chip(_one_chip(instance)),
    not_separable: lambda instance, folder: _gives(not_separable(instance)),
    layer_to_assignment: lambda instance, folder: layer_to_assignment(instance),
    not_row_sets: lambda instance, folder: _gives(not_row_sets(instance)),
    row_sets: lambda instance, folder: row_sets(instance),
    layers_to_program: lambda instance, folder: layers_to_program(instance),
    program_size: lambda instance, folder: program_size(instance),
    linearise: lambda instance, folder: linearise(instance),
    realise: lambda instance, folder: realise(instance, _solution(instance)),
    unmapped: lambda instance, folder: unmapped(instance),
    summing_layers: lambda instance, folder: summing_layers(instance, _solution(instance)),
    by_weights: lambda instance, folder: by_weights(instance, _solution(instance), True),
    on_chips: lambda instance, folder: on_chips(*_on_its_chip(instance)),
    refitted: lambda instance, folder: refitted(instance, _solution(instance), "layer"),
    evaluate: lambda instance, folder: evaluate(instance, _solution(instance), None),
    write_lp: lambda instance, folder: write_lp(instance, folder / "a.lp"),
    write_opb: lambda instance, folder: write_opb(instance, folder / "a.opb"),
    write_mps: lambda instance, folder: write_mps(instance, folder / "a.mps"),
    write_dense: lambda instance, folder: write_dense(instance, folder / "a.txt"),
    write_sparse: lambda instance, folder: write_sparse(instance, folder / "a.txt"),
    write: lambda instance, folder: write(_solution(instance), folder / "a.wiring.csv", instance=instance),
    layers_of: lambda instance, folder: layers_of(instance),
    wires_of: lambda instance, folder: list(wires_of(_solution(instance), instance)),
    mapping_from: lambda instance, folder: mapping_from(
        list(wires_of(_solution(instance), instance)), instance, lambda message, at: AssertionError(message)
    ),
    brute_force: lambda instance, folder: brute_force(instance),
}

# Kernels are handed the parts of a layer.
KERNELS: dict[Callable[..., Any], Callable[[Instance, Path], Any]] = {
    pair_costs: _pairs(pair_costs),
    best_pairs: _pairs(best_pairs, keep=1),
    match_rows: _pairs(match_rows, neuron_of=np.arange(2)),
}

# All others: who asks before they are called, or why there is nothing to ask.
BEHIND: dict[str, str] = {
    **{
        f"checker.{name}": "check and is_feasible"
        for name in ("assignment", "forward", "layer", "network", "objective", "program")
    },
    "formats.own": "keeps every fact and array of an instance",
    "formats.qaplib": "refuses by itself all that is no plain square crossbar, which no simple instance here is",
    "formats.registry.read": "layers_of",
    "formats.registry.read_solution": "layers_of",
    "formats.fusion_csv": "layers_of",
    "formats.masks": "layers_of",
    "formats.summary": "layers_of",
    "formats.wiring_csv": "layers_of",
    "formats.wiring_json": "layers_of",
    "kernels.crossbar_board": "Crossbar",
    "kernels.crossbar_wiring": "solvers that understand the layer, and a beginning that its caller checks",
    "kernels.menus": "pair_costs and match_rows",
    "kernels.packing": "tested below, part by part",
    "network.chip": "makes chips for targets; rules and objectives do not change what is drawn",
    "network.export": "makes instances",
    "network.later.refitted_any": "refitted and by_weights",
    "network.converter.converted": "summing_layers",
    "network.converter.SummingLayer": "summing_layers and evaluate",
    "network.evaluation.DigitalNumbers": "evaluate",
    "network.evaluation.layer_error": "evaluate",
    "network.evaluation.realised_network": "evaluate, whose decorator it shares",
    "network.realised.biases_of": "realise and summing_layers",
    "network.realised.one_read": "realise and evaluate",
    "proofs.budget": "separable, which it calls without the budget",
    "proofs.cells": "separable",
    "proofs.certify.prepare": "only loads",
    "proofs.feasible": "separable, or coupled",
    "proofs.layer.as_they_are": "separable",
    "proofs.layer.connection_costs": "separable, or certify_menus",
    "proofs.menus.MenuTable": "certify_menus",
    "proofs.separable.refuse_unfit": "separable, and coupled",
    "proofs.one_chip": "certify",
    "proofs.lattice": "certify, and placed_lines, ask before",
    "proofs.placed_lines": "asks of every layer, in the words of the proof file",
    "proofs.sums.SumTable": "certify_sums",
    "proofs.sums.Sums": "certify_sums",
    "proofs.proof_file.proof_of_infeasible": "crowded",
    "proofs.infeasible.constructed": "promises nothing; is_feasible, which asks, judges what it returns",
    "reduce.shares": "keeps every demand but one-chip, whose meaning it is",
    "reduce.crossbar": "its caller checks what it makes",
    "reduce.one_chip.coupled_buses": "whoever reduces the network",
    "reduce.chained": "beginning, whose result the checker judges",
    "reduce.beginning": "promises nothing; the checker judges what it returns",
    "reduce.reduction": "changes nothing",
    "reduce.separable.wire": "layer_to_assignment",
    "testing.brute": "brute_force",
    "testing.brute_layer": "brute_force",
    "testing.brute_program": "brute_force",
}
ROOMS = ("checker", "formats", "kernels", "network", "proofs", "reduce")


def _functions() -> Iterator[str]:
    """Public functions and methods of the rooms that read instances, by the annotations of their arguments."""
    files = [path for room in ROOMS for path in (SOURCE / room).rglob("*.py")]
    for path in sorted([*files, *(SOURCE / "testing").glob("brute*.py")]):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        tree = ast.parse(path.read_text())
        owners = [("", tree), *((f"{n.name}.", n) for n in tree.body if isinstance(n, ast.ClassDef))]
        for prefix, owner in owners:
            for node in owner.body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and _takes(node):
                    yield f"{module}.{prefix}{node.name}"


def _takes(function: ast.FunctionDef) -> bool:
    given = [argument.annotation for argument in (*function.args.args, *function.args.kwonlyargs)]
    nodes = [node for annotation in given if annotation is not None for node in ast.walk(annotation)]
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    quoted = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return bool(TAKEN & (named | quoted))


def _below(instance: Instance) -> list[type[Instance]]:
    kinds = list(INSTANCES.values())
    return kinds[kinds.index(type(instance)) + 1 :]


def _called(function: Callable[..., Any]) -> str:
    plain = inspect.unwrap(function)
    return f"{plain.__module__}.{plain.__qualname__}".removeprefix("matchopt.")


def test_every_reader_of_instances_is_an_entrance_or_behind_one() -> None:
    """A function that is new must refuse by itself, or say who does so before it."""
    entrances = {_called(function) for function in (*ENTRANCES, *KERNELS)}
    found = set(_functions())
    open_ = {name for name in found if name not in entrances and not any(_is_in(name, place) for place in BEHIND)}
    assert not open_, f"{sorted(open_)}: decorate with `understanding`, and add to ENTRANCES or BEHIND"
    assert entrances <= found
    assert all(any(_is_in(name, place) for name in found) for place in BEHIND), "BEHIND names what is not there"


def _is_in(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


@cache
def _tiny() -> dict[str, tuple[TinyInstance, ...]]:
    kinds: dict[str, list[TinyInstance]] = {kind: [] for kind in INSTANCES}
    for tiny in tiny_instances():
        kinds[tiny.instance.kind].append(tiny)
    return {kind: tuple(found) for kind, found in kinds.items()}


OPTIMA: dict[str, Any] = {}


def _simple(kind: str) -> Instance:
    """An instance of the kind that most entrances take: the one with fewest demands of those with a solution."""
    fitting = [tiny for tiny in _tiny()[kind] if _is_small(tiny.instance) and tiny.optimum.solution is not None]
    least = min(fitting, key=lambda tiny: len(tiny.instance.demands))
    OPTIMA[least.instance.digest] = least.optimum.solution
    return least.instance


def _is_small(instance: Instance) -> bool:
    """Whether the calls above fit: two rows in a layer, anything in others."""
    if isinstance(instance, NetworkInstance):
        return isinstance(instance.architecture, FullyConnected) and instance.objective is None
    if isinstance(instance, ProgramInstance):
        return instance.n_variables > 0
    return not isinstance(instance, LayerInstance) or instance.n_rows == 2


@pytest.fixture
def made_strange(monkeypatch: pytest.MonkeyPatch) -> Callable[[type], None]:
    """Gives all objects of a class a demand that nobody was written for."""

    def change(cls: type) -> None:
        compute = vars(cls)["demands"]
        plain = getattr(compute, "func", None) or compute.fget
        monkeypatch.setattr(cls, "demands", property(lambda self: plain(self) | {STRANGE}))

    monkeypatch.setitem(DEMANDS, STRANGE, "nobody knows what")
    return change


@pytest.mark.parametrize("entrance", ENTRANCES, ids=_called)
def test_a_strange_demand_is_refused_by_name(
    entrance: Callable[..., Any], made_strange: Callable[[type], None], tmp_path: Path
) -> None:
    """Whoever takes an instance refuses it, and says why, once it demands something unknown."""
    taken = [instance for instance in map(_simple, INSTANCES) if _takes_now(entrance, instance, tmp_path)]
    assert taken, "it takes no instance at all, so nothing is tested"
    for instance in taken:
        made_strange(type(instance))
        copy = type(instance).from_parts(instance.parts())
        with pytest.raises(Refused, match=rf"{STRANGE} \(nobody knows what\)"):
            ENTRANCES[entrance](copy, tmp_path)


def _takes_now(entrance: Callable[..., Any], instance: Instance, folder: Path) -> bool:
    """Whether it takes the instance as it is, and does not only hand it on."""
    if (entrance is surrogate and instance.kind in ("assignment", "program")) or _is_last(entrance, instance):
        return False
    given = [each.annotation for each in inspect.signature(inspect.unwrap(entrance)).parameters.values()]
    named = [kind for annotation in given for kind in (annotation, *get_args(annotation))]
    if not any(each in (type(instance), Instance) or isinstance(each, TypeVar) for each in named):
        return False
    try:
        ENTRANCES[entrance](instance, folder)
    except (Refused, InvalidInstance, InvalidSolution):
        return False
    return True


def _is_last(entrance: Callable[..., Any], instance: Instance) -> bool:
    return entrance is reduction and not _below(instance)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kernel", KERNELS, ids=_called)
def test_kernels_refuse_strange_parts(
    kernel: Callable[..., Any], part: type, made_strange: Callable[[type], None], tmp_path: Path
) -> None:
    """Kernels are handed the parts of a layer, so it is the parts that they ask."""
    instance = _simple("layer")
    made_strange(part)
    with pytest.raises(Refused, match=f"a kernel of pairs does not understand {STRANGE}"):
        KERNELS[kernel](instance, tmp_path)


def test_the_doors_of_the_kernels_refuse_each_its_part(made_strange: Callable[[type], None]) -> None:
    """All that packs a target, hardware or gains for the compiled loops."""
    layer = _simple("layer")
    assert isinstance(layer, LayerInstance)
    for part in PARTS:
        made_strange(part)
    calls = (
        lambda: row_blocks(layer.target, None),
        lambda: CellSorter.of(layer.hardware),
        lambda: finite_values(layer.rules.gains),
        lambda: Crossbar(layer.target, layer.hardware, np.random.default_rng(0)),
        lambda: HardWired(layer.target, layer.hardware, layer.rules),
    )
    for call in calls:
        with pytest.raises(Refused, match=STRANGE):
            call()


REGISTRY = load_plugins()


@pytest.mark.parametrize("name", sorted(REGISTRY.solvers))
def test_every_solver_is_kept_from_a_strange_demand(name: str, made_strange: Callable[[type], None]) -> None:
    """Of its own kind and of every kind above, and the reason names the demand."""
    solver = REGISTRY.make(name, {})
    kinds = list(INSTANCES)
    for kind in kinds[: kinds.index(solver.solves.kind) + 1]:
        taken = next((tiny for tiny in _tiny()[kind] if Case(solver, tiny).refusal is None), None)
        if taken is None:
            continue
        made_strange(type(taken.instance))
        assert STRANGE in (Case(solver, taken).refusal or ""), kind


@dataclass(frozen=True)
class Undeclared(Solver):
    """A solver from before there were demands."""

    name = "undeclared"
    solves = LayerInstance

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """Not asked here."""
        raise NotImplementedError


def test_a_solver_without_a_declaration_takes_what_there_was_and_nothing_newer(
    made_strange: Callable[[type], None],
) -> None:
    """Every rule of version 0.1 reaches it as ever; a rule that is newer than itself does not."""
    layers = [tiny.instance for tiny in _tiny()["layer"] if tiny.instance.demands <= AT_0_1["layer"]]
    newer = [tiny.instance for tiny in _tiny()["layer"] if tiny.instance not in layers]
    assert all(refusal(Undeclared(), layer) is None for layer in layers)
    assert newer and all(refusal(Undeclared(), layer) is not None for layer in newer)
    made_strange(LayerInstance)
    assert all(STRANGE in (refusal(Undeclared(), layer) or "") for layer in layers)


def test_the_checker_knows_the_whole_vocabulary() -> None:
    """It judges every solution, so a demand that it does not know could not be solved at all."""
    assert set(DEMANDS) == UNDERSTOOD


@dataclass(frozen=True)
class Steeper(WeightError):
    """An objective from elsewhere, which says nothing about itself: name, demands and fields are inherited."""

    def value(self, target: Target, error: np.ndarray, noise: np.ndarray) -> float:
        """Not what anybody here minimises."""
        return float(np.abs(error).sum())


@dataclass(frozen=True)
class Renamed(WeightError):
    """Another, under a name of its own."""

    name = "renamed"


@dataclass(frozen=True)
class Mirrored(Rules):
    """Rules with a field that nobody here knows, and its demand."""

    mirrored: bool = True

    @property
    def demands(self) -> frozenset[str]:
        """The field alone."""
        return frozenset({"mirrored"})


@dataclass(frozen=True)
class Silent(Rules):
    """Rules with a field that is tied to nothing."""

    mirrored: bool = True


@dataclass(frozen=True, eq=False)
class Drifting(Hardware):
    """Hardware with such a field."""

    drift: float = 1.0

    @property
    def demands(self) -> frozenset[str]:
        """The field alone."""
        return frozenset({"drift"})


@dataclass(frozen=True, eq=False)
class Reweighted(TaskLoss):
    """A network's objective from elsewhere, which passes for the known one."""


class Speechless:
    """No objective at all, though it has most of what one has."""

    name, level, is_diagonal = "weight-error", "layer", True

    def check_fit(self, target: Target) -> None:
        """Anything fits."""


def _foreign() -> Iterator[tuple[str, Instance, Any]]:
    """What an instance asks for by a part from elsewhere, the instance, and its mapping as if it did not."""
    layer = _simple("layer")
    assert isinstance(layer, LayerInstance)
    mapping = _solution(layer)
    yield "the objective Steeper", replace(layer, objective=Steeper()), mapping
    yield "the objective Renamed", replace(layer, objective=Renamed()), mapping
    yield "mirrored", replace(layer, rules=Mirrored()), mapping
    yield "drift", replace(layer, hardware=Drifting(layer.hardware.weights)), mapping
    yield "drift and mirrored", replace(layer, hardware=Drifting(layer.hardware.weights), rules=Mirrored()), mapping
    loss = Reweighted(np.ones((1, layer.target.n_inputs)), np.zeros(1, int))
    network = NetworkInstance((layer,), (np.zeros(layer.n_rows),), objective=loss)
    yield "the objective Reweighted", network, NetworkMapping((mapping,))


def test_parts_from_elsewhere_are_refused_by_all_that_would_answer(tmp_path: Path) -> None:
    """A subclass of rules, hardware or an objective never passes for its base class, in files and solves neither."""
    for asked, instance, mapping in _foreign():
        strange = f"does not understand .*{asked}"
        for entrance in (check, is_feasible, certify):
            with pytest.raises(Refused, match=strange):
                entrance(instance, mapping)
        for ask in (surrogate, brute_force, certify_infeasible):
            with pytest.raises(Refused, match=strange):
                ask(instance)
        for solver in ("hungarian", "milp", "reroute", "hungarian+recalibrate"):
            with pytest.raises(Refused, match=f"the checker {strange}"):
                matchopt.solve(instance, solver)
        with pytest.raises(Refused, match=f"the format matchopt {strange}"):
            write(instance, tmp_path / "a.matchopt")


def test_what_says_nothing_of_its_demands_passes_nowhere(tmp_path: Path) -> None:
    """Whether a field is tied to none, or there is no word about demands at all."""
    layer = _simple("layer")
    assert isinstance(layer, LayerInstance)
    mapping = _solution(layer)
    speechless = replace(layer, objective=Speechless())  # type: ignore[arg-type]
    for instance, error in ((replace(layer, rules=Silent()), TypeError), (speechless, AttributeError)):
        for call in (check, certify, lambda i, m: matchopt.solve(i, "hungarian"), lambda i, m: surrogate(i)):
            with pytest.raises(error, match=r"mirrored is tied to no demand|no attribute 'demands'"):
                call(instance, mapping)
        with pytest.raises(error):
            write(instance, tmp_path / "a.matchopt")


OBJECTIVE_CLASSES = {"Objective", "LayerObjective", "SampleObjective", *(cls.__name__ for cls in OBJECTIVES.values())}
PLUGINS = SOURCE.parent / "plugins"


def _told_apart(text: str) -> Iterator[int]:
    """Lines that ask of which class an objective is."""
    names_one = any(name in text for name in OBJECTIVE_CLASSES)
    for node in ast.walk(ast.parse(text)) if names_one else ():
        asked: list[ast.AST] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            asked = list(node.args[1:])
        if isinstance(node, ast.MatchClass):
            asked = [node.cls]
        named = {name.id for each in asked for name in ast.walk(each) if isinstance(name, ast.Name)}
        if named & OBJECTIVE_CLASSES:
            yield node.lineno  # type: ignore[attr-defined]  # calls and patterns have lines


def test_only_the_checker_tells_objectives_apart_by_class() -> None:
    """Everybody else asks the objective itself, or dispatches by its name."""
    found = {
        f"{path.name}:{line}"
        for folder in (SOURCE, PLUGINS)
        for path in folder.rglob("*.py")
        if "checker" not in path.parts
        for line in _told_apart(path.read_text())
    }
    assert not found
    assert list(_told_apart("isinstance(x, int | TaskLoss)")) == [1]
    assert list(_told_apart("match x:\n    case OutputError(): pass")) == [2]
