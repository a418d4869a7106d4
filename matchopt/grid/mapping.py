"""Mappings: a target network, a chip, a solver, and how good the network on the chip is."""

import math
from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge, Interval

from matchopt.errors import DataError, InvalidOption, InvalidSolution
from matchopt.formats import ChipFile, SolutionFile, file_sha256, read_chip, write
from matchopt.grid.origin import origin_of
from matchopt.grid.own import OwnChip, OwnNetwork
from matchopt.grid.quality import noiseless, quality
from matchopt.grid.task import ERROR, GridTask, Place
from matchopt.grid.training import Training
from matchopt.instances import (
    DataReference,
    Gains,
    Hardware,
    Imperfections,
    NetworkInstance,
    NetworkMapping,
    Rules,
    WeightError,
)
from matchopt.instances.sample_objective import OBJECTIVES
from matchopt.library import library_folder, problems_folder
from matchopt.network import ImageData, SparseNetwork, draw_hardware, export_network, read_network
from matchopt.network.chip import chip_pool
from matchopt.network.evaluation import data_of
from matchopt.network.export import chip_sizes, layer_targets
from matchopt.network.objectives import Biases, Samples, compact_images
from matchopt.parts import field_values
from matchopt.plugins import load_plugins
from matchopt.run import Run, solve
from matchopt.run.choice import who_may_run
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, check_fields
from matchopt.solver import Status

# In problems/networks: LeNet-300-100, fan-in 8/8/30; mnist-cnn, fan-in 8/20/26/20; lstm:64-mean, fan-in 8/32; DEEP R's
# network for CIFAR-10 at 5 %.
SHIPPED = {name: f"{name}-seed0.safetensors" for name in ("row8", "cnn8", "lstm64", "cifar5")}
SMALLEST_GAIN, LARGEST_GAIN = math.exp(-1.0), math.exp(1.0)


@dataclass(frozen=True)
class MappingRun:
    """Settings of one run.

    Parameters
    ----------
    solver : name of a solver, or a pipeline of several, such as "hungarian+reroute".
    target : name of a network in the study's targets, trained there or in a file, or "row8", which ships.
    fan_in_ratio, neuron_ratio : K/n and M/m.
    full_fan_in : `fan_in_ratio` counts cells for each input of the layer, not for each connection of a unit.
    law : law of random hardware weights; without effect where `chip` is given.
    chip : measured weights: name of a chip in the study's chips, or a path below data/hardware of the library, such as
        "rram-random/array1.npz", whose cells serve as a law.
    chained : whether each layer is one crossbar and its neurons the next one's lines; see `NetworkInstance.chained`.
    hard_wired : see `matchopt.network.draw_hardware`; 0 where `chip` is given. No more cells add up to a weight.
    bad_cells, stuck_cells : see `matchopt.instances.Imperfections`.
    neurons_per_bus : neighbouring neurons that share their lines; 1 where `chip` is given.
    hardware_seed : seed of the draw.
    seed : of the solver.
    objective : see `matchopt.network.export_network`.
    biases : the same.
    centred : the same, with digital biases; as that objective leaves the biases to others, `recalibrate` sets them
        afterwards, which `solver_seconds` does not count; they must be adjustable.
    drop, extra_inputs, cells_per_weight, neurons_per_row, copies : see `matchopt.instances.Rules`.
    gains : whether every neuron has a gain between 1/e and e.
    tunable : share of the target's connections that may be fully tunable weights, 0 .. 1.
    samples : training images that go into the instance; 0 for all.
    time_limit : seconds of the solver's clock.
    prove_seconds : most seconds for the proof; none for a fixed amount of work, 0 for no proof.
    threads : most threads of the solver, >= 1.
    noise : standard deviation of read noise, in units of each layer's root mean square.
    noise_in_cost : whether the instance knows of that noise; the accuracy always does.
    noise_draws : reads over which the accuracy is averaged where there is noise.
    errors : whether functional error and error of the outputs are measured besides the objective.
    keep : whether instance and mapping are kept as files beside the results.
    options : of the solver.
    """

    solver: str
    target: str = "row8"
    fan_in_ratio: PositiveFloat = 1.0
    neuron_ratio: Annotated[float, Ge(1)] = 1.0
    full_fan_in: bool = False
    law: str = "gaussian"
    chip: str = ""
    chained: bool = False
    hard_wired: NonNegativeInt = 0
    bad_cells: Annotated[float, Interval(ge=0, le=1)] = 0.0
    stuck_cells: Annotated[float, Interval(ge=0, le=1)] = 0.0
    neurons_per_bus: PositiveInt = 1
    hardware_seed: NonNegativeInt = 0
    seed: NonNegativeInt = 0
    objective: str = "weight-error"
    biases: Biases = "free"
    centred: bool = False
    drop: bool = False
    extra_inputs: bool = False
    cells_per_weight: PositiveInt = 1
    neurons_per_row: PositiveInt = 1
    copies: PositiveInt = 1
    gains: bool = False
    tunable: Annotated[float, Interval(ge=0, le=1)] = 0.0
    samples: NonNegativeInt = 5_000
    time_limit: PositiveFloat = 60.0
    prove_seconds: NonNegativeFloat | None = None
    threads: PositiveInt = 1
    noise: NonNegativeFloat = 0.0
    noise_in_cost: bool = True
    noise_draws: PositiveInt = 5
    errors: bool = True
    keep: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "settings")
        if self.centred and self.biases != "adjustable":
            raise InvalidOption(f"centred needs biases that can be set, biases = 'adjustable'; found {self.biases!r}")


@dataclass(frozen=True)
class Mapping(GridTask):
    """A mapping as a task of a grid.

    Parameters
    ----------
    run : its settings.
    place : where it is done.
    target : the training of its target network; None for one that ships, or is in a file.
    network : the target network in a file.
    chip : a measured chip of one's own.

    Raises
    ------
    InvalidOption
        when settings say how much of the chip each layer gets, where the layout of the chip says so, or the objective
        needs samples, and the network comes without data.
    """

    run: MappingRun
    place: Place
    target: Training | None = None
    network: OwnNetwork | None = None
    chip: OwnChip | None = None

    def __post_init__(self) -> None:
        own, run = self.chip, self.run
        sampled = OBJECTIVES.get(run.objective, WeightError).samples
        if sampled and self.network is not None and not self.network.told.data and self.network.read()[1] is None:
            raise InvalidOption(f"objective {run.objective!r} needs samples: give target {run.target!r} its data")
        if own is not None and own.told.layout != "shared" and (run.fan_in_ratio, run.neuron_ratio) != (1.0, 1.0):
            raise InvalidOption(f"chip {run.chip!r}: with layout = {own.told.layout!r} every layer gets all there is; "
                                "leave fan_in_ratio and neuron_ratio out")  # fmt: skip
        if own is not None and (run.hard_wired or run.chained or run.neurons_per_bus > 1):
            raise InvalidOption(f"chip {run.chip!r}: hard_wired, chained and neurons_per_bus are of random hardware; a "
                                "measured chip has its own lines")  # fmt: skip

    @property
    def seconds(self) -> float:
        return self.run.time_limit

    @property
    def needs(self) -> Sequence[GridTask]:
        return () if self.target is None else (self.target,)

    def facts(self) -> dict[str, Any]:
        """See `GridTask.facts`; the data are in those of the target, which names them."""
        registry = load_plugins(self.place.plugin_files)
        names = [*who_may_run(self.run.solver, registry), *(["recalibrate"] * self.run.centred)]
        return {
            "mapping": field_values(self.run),
            "target": self._target_facts(),
            "chip": self._chip_digest() if self.chip is None else self.chip.facts(),
            "origin": origin_of([partial(registry.entry, name.strip()) for name in names]),
        }

    def is_whole(self, record: Table[str, Any]) -> bool:
        files = [self.place.folder / record[name] for name in ("instance_file", "solution_file") if record.get(name)]
        files += [self._network_file()] if self.run.keep else []
        return all(file.is_file() for file in files)

    def perform(self) -> dict[str, Any]:
        """Export, solve, check and measure.

        Returns
        -------
        dict
            status, limit, proof, value of the objective, bound and gap; relative weight error and relative functional
            error, both means over layers; squared weight error summed over layers; error of the outputs up to a common
            factor; validation and test accuracy of the mapped network and of the target; numbers of digital values that
            were changed; seconds in all and of the solver's clock. Accuracies are shares, 0 .. 1.
        """
        run = self.run
        given = self._given()
        network, chip = given.network, _chip(run, given.network, self.chip)
        one_chip = self.chip is not None and self.chip.told.layout == "one-chip"
        known = chip if run.noise_in_cost else [noiseless(layer) for layer in chip]
        instance = _instance(run, given, known, one_chip)
        found = self._solve(instance, run.solver, run.options)
        figures: dict[str, Any] = {
            "status": found.status.value,
            "limit": None if found.limit is None else found.limit.value,
            "proof": found.proof,
            "value": found.objective,
            "bound": found.bound,
            "gap": found.gap,
            "seconds": found.seconds,
            "solver_seconds": found.solver_seconds,
            "message": found.message,
            "target_validation": network.record.validation_accuracy,
            "target_test": network.record.test_accuracy,
        }
        if not isinstance(found.solution, NetworkMapping):
            return figures | ({ERROR: found.message} if found.status is Status.ERROR else {})
        mapping = found.solution
        if run.centred:
            mapping = self._recalibrated(given, chip, one_chip, mapping)
        noisy = instance if run.noise_in_cost else _instance(run, given, chip, one_chip)
        kept: dict[str, Any] = self._kept(instance, mapping) if run.keep else {}
        if found.stages:
            kept["stage_seconds"] = [round(stage.seconds, 3) for stage in found.stages]
        reads = [(run.hardware_seed, draw) for draw in range(run.noise_draws)]
        return figures | quality(noisy, mapping, given.data, reads, run.errors) | kept

    def _solve(
        self, instance: NetworkInstance, solver: str, options: Table[str, Any], start: NetworkMapping | None = None
    ) -> Run:
        run = self.run
        return solve(
            instance,
            solver,
            options=options,
            time_limit=run.time_limit,
            seed=run.seed,
            threads=run.threads,
            prove_seconds=run.prove_seconds,
            plugin_files=self.place.plugin_files,
            start=start,
        )

    def _recalibrated(
        self, given: "_Given", chip: Sequence[Hardware], one_chip: bool, mapping: NetworkMapping
    ) -> NetworkMapping:
        """The mapping with biases that make every unit's mean right.

        Raises InvalidSolution when they could not be found.
        """
        instance = _instance(replace(self.run, objective="functional-error", centred=False), given, chip, one_chip)
        found = self._solve(instance, "recalibrate", {}, mapping)
        if not isinstance(found.solution, NetworkMapping):
            raise InvalidSolution(f"the biases could not be recalibrated: {found.message}")
        return found.solution

    def _kept(self, instance: NetworkInstance, mapping: NetworkMapping) -> dict[str, str]:
        """Instance and mapping written into the folder; their places."""
        run, folder = self.run, self.place.folder
        about = f"{run.objective}-{run.law}-k{run.fan_in_ratio:g}-seed{run.hardware_seed}-{instance.digest[:8]}"
        found = {
            "instance_file": f"instances/{about}.matchopt",
            "solution_file": f"solutions/{about}-{run.solver}-{self.key[:8]}.matchopt",
        }
        for place in found.values():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / found["instance_file"]).exists():
            write(instance, folder / found["instance_file"])
        solution = SolutionFile(mapping, instance.digest, run.solver, run.seed)
        write(solution, folder / found["solution_file"])
        return found

    def _given(self) -> "_Given":
        """The target network and its data."""
        if self.network is not None:
            return _Given(*self.network.measured(), self.network)
        network = read_network(self._network_file())
        if network.record.data is None:
            raise DataError("the target network does not name its data set")
        return _Given(network, _data_called(network.record.data, network.widths[0]), network.record.data)

    def _target_facts(self) -> Any:
        if self.network is not None:
            return self.network.facts()
        return file_sha256(self._network_file()) if self.target is None else self.target.key

    def _network_file(self) -> Path:
        if self.network is not None:
            return self.network.folder / self.network.told.file
        if self.target is not None:
            return self.target.path
        return problems_folder() / "networks" / SHIPPED[self.run.target]

    def _chip_digest(self) -> str | None:
        try:
            return file_sha256(_chip_file(self.run).path) if self.run.chip else None
        except OSError as cause:  # the run itself will say so
            return str(cause)


class _Given(NamedTuple):
    """A target network, its data if there are any, and what these are known by."""

    network: SparseNetwork
    data: ImageData | None
    source: DataReference | OwnNetwork


def _instance(run: MappingRun, given: _Given, chip: Sequence[Hardware], one_chip: bool) -> NetworkInstance:
    """What the solver gets."""
    network, data, source = given
    gains = Gains.interval(SMALLEST_GAIN, LARGEST_GAIN) if run.gains else Gains()
    count = round(run.tunable * network.n_connections)
    shares = {name: getattr(run, name) for name in ("drop", "extra_inputs", "neurons_per_row", "copies")}
    rules = Rules(cells_per_weight=max(run.cells_per_weight, run.hard_wired), gains=gains, tunable=count, **shares)
    kind = OBJECTIVES.get(run.objective, WeightError)  # export_network names those there are
    samples, scale = _samples(source, network.widths[0], run.samples) if kind.samples else (None, 1.0)
    return export_network(
        network,
        chip,
        rules=rules,
        objective=run.objective,
        biases=run.biases,
        tunable=count or None,
        sample_inputs=samples,
        sample_labels=data.train_labels[: run.samples or None] if kind.labelled and data is not None else None,
        sample_scale=scale,
        centred=run.centred,
        one_chip=one_chip,
        chained=run.chained,
    )


def _chip(run: MappingRun, network: SparseNetwork, own: OwnChip | None) -> Sequence[Hardware]:
    biases: Any = "hardware" if run.biases == "hardware" else "free"
    faults = {"bad_cells": run.bad_cells, "stuck_cells": run.stuck_cells}
    flaws = Imperfections(read_noise=run.noise, neurons_per_bus=run.neurons_per_bus, **faults)
    targets = layer_targets(network, biases)
    largest = [int(target.fan_in.max(initial=1)) for target in targets]
    wide = [t.n_inputs / n if run.full_fan_in else 1.0 for t, n in zip(targets, largest, strict=True)]
    ratios = [run.fan_in_ratio * each for each in wide]
    if not run.chip:
        options: dict[str, Any] = {"biases": biases, "imperfections": flaws}
        options |= {"hard_wired": run.hard_wired, "chained": run.chained}
        return draw_hardware(network, run.law, ratios, run.neuron_ratio, run.hardware_seed, **options)
    sizes = chip_sizes(targets, ratios, run.neuron_ratio)
    if own is not None:
        return own.hardware(targets, sizes, run.hardware_seed, flaws)
    return chip_pool(read_chip([_chip_file(run)]), targets, sizes, np.random.default_rng(run.hardware_seed), flaws)


def _chip_file(run: MappingRun) -> ChipFile:
    library = library_folder()
    if library is None:
        raise DataError(f"measured weights {run.chip} need the library: set MATCHOPT_LIBRARY to its folder")
    path, _, name = run.chip.partition(":")
    return ChipFile(library / "data" / "hardware" / path, name or None)


@lru_cache(maxsize=2)
def _data_called(reference: DataReference, inputs: int) -> ImageData:
    data = data_of(reference, inputs)
    if data is None:
        raise DataError(f"the data set {reference.name!r} is not here")
    return data


@lru_cache(maxsize=2)
def _samples(source: DataReference | OwnNetwork, inputs: int, count: int) -> tuple[Samples, float]:
    """The first training images, all where `count` is 0, as instances hold them."""
    data = source.read()[1] if isinstance(source, OwnNetwork) else _data_called(source, inputs)
    assert data is not None, "a network without data has no samples"
    return compact_images(data.train_images[: count or None])
