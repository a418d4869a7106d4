"""One mapping run of a study: a target, a chip, a solver, and how good the network on the chip is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from matchopt.errors import DataError, InvalidOption
from matchopt.instances import (
    FunctionalError,
    Gains,
    Hardware,
    Imperfections,
    NetworkInstance,
    NetworkMapping,
    Objective,
    Rules,
    ScoreError,
)
from matchopt.library import library_folder
from matchopt.network import ImageData, SparseNetwork, draw_hardware, export_network, measure, realise
from matchopt.network.chip import ChipFile, chip_pool
from matchopt.network.evaluation import data_of
from matchopt.network.export import layer_targets
from matchopt.network.objectives import compact_images
from matchopt.run import Run, solve
from matchopt.study.place import Place
from matchopt.study.targets import SHIPPED, TargetFiles

SMALLEST_GAIN, LARGEST_GAIN = math.exp(-1.0), math.exp(1.0)


@dataclass(frozen=True)
class MappingRun:
    """Settings of one run.

    Parameters
    ----------
    solver : name of a solver, or a pipeline of several, such as "hungarian+reroute".
    target : name of a network in the study's targets, or "row8", which ships.
    fan_in_ratio, neuron_ratio : K/n and M/m.
    full_fan_in : a hardware neuron has one cell per input of its layer, whatever `fan_in_ratio` is.
    law : law of random hardware weights; without effect where `chip` is given.
    chip : measured weights, a path below data/hardware of the library, such as "rram-random/array1.npz".
    hardware_seed : seed of the draw.
    seed : of the solver.
    objective : see `matchopt.network.export_network`.
    biases : the same.
    centred : the same, with digital biases; as that objective leaves the biases to others, `recalibrate` sets them
        afterwards, which `solver_seconds` does not count.
    drop, extra_inputs : see `matchopt.instances.Rules`.
    gains : whether every neuron has a gain between 1/e and e.
    tunable : share of the target's connections that may be fully tunable weights, 0 .. 1.
    samples : training images that go into the instance; 0 for all.
    time_limit : seconds of the solver's clock.
    noise : standard deviation of read noise, in units of each layer's root mean square.
    noise_in_cost : whether the instance knows of that noise; the accuracy always does.
    noise_draws : reads over which the accuracy is averaged where there is noise.
    options : of the solver.
    """

    solver: str
    target: str = "row8"
    fan_in_ratio: float = 1.0
    neuron_ratio: float = 1.0
    full_fan_in: bool = False
    law: str = "gaussian"
    chip: str = ""
    hardware_seed: int = 0
    seed: int = 0
    objective: str = "weight-error"
    biases: str = "free"
    centred: bool = False
    drop: bool = False
    extra_inputs: bool = False
    gains: bool = False
    tunable: float = 0.0
    samples: int = 5_000
    time_limit: float = 60.0
    noise: float = 0.0
    noise_in_cost: bool = True
    noise_draws: int = 5
    options: dict[str, Any] = field(default_factory=dict)

    def check_target(self, recipes: Mapping[str, Any]) -> None:
        """Raise InvalidOption unless the target is known."""
        if self.target not in recipes and self.target not in SHIPPED:
            raise InvalidOption(f"target {self.target!r} is unknown (known: {', '.join([*recipes, *SHIPPED])})")


def run_mapping(run: MappingRun, recipes: Mapping[str, Mapping[str, Any]], place: Place) -> dict[str, Any]:
    """Export, solve, check and measure.

    Returns
    -------
    dict
        status, proof, value of the objective and gap; relative weight error and relative functional error, both means
        over layers; error of the outputs up to a common factor; validation and test accuracy of the mapped network
        and of the target; numbers of digital values that were changed; seconds in all and of the solver's clock.
        Accuracies are shares, 0 .. 1.
    """
    network = TargetFiles(recipes, place).load(run.target)
    data = _data(network)
    chip = _chip(run, network)
    instance = _instance(run, network, chip if run.noise_in_cost else [_noiseless(layer) for layer in chip], data)
    found = solve(
        instance,
        run.solver,
        options=run.options,
        time_limit=run.time_limit,
        seed=run.seed,
        threads=place.threads,
        plugin_files=place.plugin_files,
    )
    figures: dict[str, Any] = {
        "status": found.status.value,
        "proof": found.proof,
        "value": found.objective,
        "gap": found.gap,
        "seconds": found.seconds,
        "solver_seconds": found.solver_seconds,
        "message": found.message,
    }
    target = {"target_validation": network.record.validation_accuracy, "target_test": network.record.test_accuracy}
    if not isinstance(found.solution, NetworkMapping):
        return figures | target
    mapping = _recalibrated(run, network, chip, data, found.solution) if run.centred else found.solution
    noisy = _instance(run, network, chip, data)
    return figures | target | _quality(run, noisy, mapping, data) | _stages(found)


def _quality(run: MappingRun, instance: NetworkInstance, mapping: NetworkMapping, data: ImageData) -> dict[str, Any]:
    """Errors, accuracies and changed values of a mapping; `instance` holds the read noise there really is."""
    draws = run.noise_draws if run.noise else 1
    parts = {"validation": [], "test": []}  # type: dict[str, list[float]]
    for draw in range(draws):
        rng = np.random.default_rng([run.hardware_seed, draw]) if run.noise else None
        realised = realise(instance, mapping, rng)
        for part, accuracies in parts.items():
            inputs, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
            accuracies.append(measure(realised, inputs, labels).accuracy)
    wrong = 0.0
    for layer, part_of in zip(instance.layers, mapping.layers, strict=True):
        target = layer.target.dense()
        wrong += float(((layer.realised(part_of) - target) ** 2).sum() / max((target**2).sum(), 1e-300))
    seen = data.validation_images[:2_000]
    return {
        "weight_error": wrong / len(instance.layers),
        "functional_error": _noiseless_value(instance, mapping, FunctionalError(seen)) / len(instance.layers),
        "output_error": _noiseless_value(instance, mapping, ScoreError(seen)),
        "validation": math.fsum(parts["validation"]) / draws,
        "test": math.fsum(parts["test"]) / draws,
        "adjusted_biases": 0 if mapping.biases is None else sum(len(bias) for bias in mapping.biases),
        "tuned": sum(len(layer.tunable) for layer in mapping.layers),
    }


def _noiseless_value(instance: NetworkInstance, mapping: NetworkMapping, objective: Objective) -> float:
    """What the mapping is worth under another objective, on chips without read noise."""
    layers = (replace(layer, hardware=_noiseless(layer.hardware)) for layer in instance.layers)
    return replace(instance, layers=tuple(layers), objective=objective).value(mapping)


def _instance(run: MappingRun, network: SparseNetwork, chip: list[Hardware], data: ImageData) -> NetworkInstance:
    """What the solver gets."""
    inputs = data.train_images if run.samples == 0 else data.train_images[: run.samples]
    labels = data.train_labels if run.samples == 0 else data.train_labels[: run.samples]
    gains = Gains.interval(SMALLEST_GAIN, LARGEST_GAIN) if run.gains else Gains()
    count = round(run.tunable * network.n_connections)
    rules = Rules(drop=run.drop, extra_inputs=run.extra_inputs, gains=gains, tunable=count)
    needs_samples = run.objective != "weight-error"
    samples, scale = compact_images(inputs) if needs_samples else (None, 1.0)
    return export_network(
        network,
        chip,
        rules=rules,
        objective=run.objective,  # type: ignore[arg-type]  # export_network names what it takes
        biases=run.biases,  # type: ignore[arg-type]
        tunable=count or None,
        sample_inputs=samples,
        sample_labels=labels if run.objective == "task-loss" else None,
        sample_scale=scale,
        centred=run.centred,
    )


def _recalibrated(
    run: MappingRun, network: SparseNetwork, chip: list[Hardware], data: ImageData, mapping: NetworkMapping
) -> NetworkMapping:
    """The mapping with biases that make every unit's mean right; the mapping as it is where that fails."""
    instance = _instance(replace(run, objective="functional-error", centred=False), network, chip, data)
    found = solve(instance, "recalibrate", time_limit=run.time_limit, seed=run.seed, start=mapping)
    return found.solution if isinstance(found.solution, NetworkMapping) else mapping


def _chip(run: MappingRun, network: SparseNetwork) -> list[Hardware]:
    biases: Any = "hardware" if run.biases == "hardware" else "free"
    flaws = Imperfections(read_noise=run.noise)
    targets = layer_targets(network, biases)
    largest = [int(target.fan_in.max(initial=1)) for target in targets]
    ratios = [
        run.fan_in_ratio if not run.full_fan_in else t.n_inputs / n for t, n in zip(targets, largest, strict=True)
    ]
    if not run.chip:
        return [
            draw_hardware(
                network, run.law, ratio, run.neuron_ratio, run.hardware_seed, biases=biases, imperfections=flaws
            )[number]
            for number, ratio in enumerate(ratios)
        ]
    library = library_folder()
    if library is None:
        raise DataError(f"measured weights {run.chip} need the library: set MATCHOPT_LIBRARY to its folder")
    sizes = [
        (math.ceil(run.neuron_ratio * target.n_rows - 1e-9), math.ceil(ratio * n - 1e-9))
        for target, ratio, n in zip(targets, ratios, largest, strict=True)
    ]
    path, _, name = run.chip.partition(":")
    file = ChipFile(library / "data" / "hardware" / path, name or None)
    return list(chip_pool(file, targets, sizes, np.random.default_rng(run.hardware_seed), flaws, True))


def _noiseless(hardware: Hardware) -> Hardware:
    return replace(hardware, variance=np.zeros_like(hardware.weights))


def _stages(run: Run) -> dict[str, Any]:
    """Seconds of every stage of a pipeline."""
    return {"stage_seconds": [round(stage.seconds, 3) for stage in run.stages]} if run.stages else {}


@lru_cache(maxsize=2)
def _data_called(name: str, digest: str, inputs: int) -> ImageData:
    from matchopt.instances import DataReference

    data = data_of(DataReference(name, digest), inputs)
    if data is None:
        raise DataError(f"the data set {name!r} is not here")
    return data


def _data(network: SparseNetwork) -> ImageData:
    reference = network.record.data
    if reference is None:
        raise DataError("the target network does not name its data set")
    return _data_called(reference.name, reference.sha256, network.widths[0])
