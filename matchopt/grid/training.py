"""Trainings: a method on a data set, its accuracies, and what happened from epoch to epoch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from matchopt.errors import InvalidOption
from matchopt.grid.origin import data_facts, origin_of
from matchopt.grid.task import GridTask, Place
from matchopt.grid.transfer import Correlations
from matchopt.instances.architecture_names import architecture_named
from matchopt.network import Conduct, EpochRecord, ImageData, TrainedResult, write_network
from matchopt.network.data.augmentation import augmentation_for
from matchopt.network.data.registry import load_data
from matchopt.parts import field_values
from matchopt.plugins import load_plugins
from matchopt.settings import NonNegativeInt, PositiveInt, check_fields

Settings = dict[str, Any]


@dataclass(frozen=True)
class TrainingRun:
    """Settings of one run.

    Parameters
    ----------
    method : name of a trainer.
    data : name of a data set.
    data_options : of its loader.
    images : images of the training, validation and test part, first ones; empty for all.
    architecture : in the text form of `matchopt train --architecture`.
    seed : of training.
    augmentation : name of an augmentation; empty for none.
    labels : "fixed", or "permuted" for a new random permutation of the classes before every epoch.
    patience : see `matchopt.network.Conduct`; 0 for training to the end.
    every_epoch : whether validation accuracy is measured after every epoch instead of about ten times.
    correlations : whether weights and activity are compared between successive epochs.
    options : of the method.
    """

    method: str
    data: str = "mnist"
    data_options: Settings = field(default_factory=dict)
    images: list[PositiveInt] = field(default_factory=list)
    architecture: str = "mlp:784-300-100-10"
    seed: NonNegativeInt = 0
    augmentation: str = ""
    labels: Literal["fixed", "permuted"] = "fixed"
    patience: NonNegativeInt = 0
    every_epoch: bool = False
    correlations: bool = False
    options: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, "settings")
        if len(self.images) not in (0, 3):
            raise InvalidOption(f"images must be three numbers or empty, found {self.images}")


@dataclass(frozen=True)
class Training(GridTask):
    """A training as a task of a grid.

    Parameters
    ----------
    run : its settings.
    place : where it is done.
    keep : name under which the network is kept, in `path`; empty for not at all.
    """

    run: TrainingRun
    place: Place
    keep: str = ""

    @property
    def path(self) -> Path:
        """The file that keeps the network; other settings, versions or data make another file."""
        return self.place.folder / "targets" / f"{self.keep}-{self.key[:8]}.safetensors"

    def facts(self) -> dict[str, Any]:
        registry = load_plugins(self.place.plugin_files)
        return {
            "training": field_values(self.run),
            "data": data_facts(self.run.data, tuple(sorted(self.run.data_options.items()))),
            "origin": origin_of([lambda: registry.trainer(self.run.method)]),
            "device": self.place.device,
        }

    def is_whole(self, record: Mapping[str, Any]) -> bool:
        return not self.keep or self.path.is_file()

    def perform(self) -> dict[str, Any]:
        """Train and measure; an interrupted training goes on from its checkpoint.

        Returns
        -------
        dict
            validation and test accuracy and the largest connectivity, shares 0 .. 1; connections left at the end;
            seconds of training, of the clock and of the processor; epochs; and under "series" what was measured after
            every epoch (validation, connectivity, loss, and correlations if asked for) and at the end of every phase
            (phase_validation, phase_connectivity).

        Raises
        ------
        UnknownName, InvalidOption
            for a trainer, a data set, an architecture or an option that does not exist.
        """
        began = time.perf_counter()
        correlations = Correlations(_data(self.run)) if self.run.correlations else None
        result = self._train(correlations)
        network = result.network
        if self.keep:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_network(self.path, network)
        more = {} if correlations is None else correlations.series()
        return {
            "validation": network.record.validation_accuracy,
            "test": network.record.test_accuracy,
            "connectivity": result.connectivity,
            "connections": network.n_connections,
            "final_connectivity": network.connectivity,
            "epochs": len(result.history),
            "seconds": time.perf_counter() - began,
            "training_seconds": sum(record.seconds for record in result.history),
            "cpu_seconds": sum(record.cpu_seconds for record in result.history),
            "series": _series(result.history) | more,
        }

    def _train(self, correlations: Correlations | None) -> TrainedResult:
        run, data = self.run, _data(self.run)
        trainer = load_plugins(self.place.plugin_files).make_trainer(run.method, run.options)
        conduct = Conduct(
            transform=augmentation_for(run.augmentation, data) if run.augmentation else None,
            labels=run.labels,
            validate_every=1 if run.every_epoch else None,
            patience=run.patience or None,
            observer=correlations,
        )
        architecture = architecture_named(run.architecture, data.shape, data.n_classes)
        checkpoint = None
        if correlations is None:  # what the observer saw is not in a checkpoint
            checkpoint = self.place.folder / "checkpoints" / f"{self.key}.safetensors"
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
        result: TrainedResult = trainer.train(
            data, architecture, run.seed, None, checkpoint, self.place.device, conduct
        )
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        return result


def _series(history: Sequence[EpochRecord]) -> dict[str, list[float | None]]:
    """What was measured after every epoch, and at the end of every phase."""
    ends = [n for n, record in enumerate(history) if n + 1 == len(history) or history[n + 1].phase != record.phase]
    return {
        "validation": [record.validation_accuracy for record in history],
        "connectivity": [record.connectivity for record in history],
        "loss": [record.loss for record in history],
        "phase_validation": [history[n].validation_accuracy for n in ends],
        "phase_connectivity": [history[n].connectivity for n in ends],
    }


def _data(run: TrainingRun) -> ImageData:
    data = _loaded(run.data, tuple(sorted(run.data_options.items())))
    return data.first(*run.images) if run.images else data


@lru_cache(maxsize=2)
def _loaded(name: str, options: tuple[tuple[str, Any], ...]) -> ImageData:
    return load_data(name, **dict(options))
