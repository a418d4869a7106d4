"""One training run of a study: a method on a data set, its accuracies, and what happened from epoch to epoch."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from matchopt.errors import InvalidOption
from matchopt.grid.records import content_key
from matchopt.instances.architecture import Architecture
from matchopt.instances.architecture_names import architecture_named
from matchopt.network import Conduct, ImageData, TrainedResult
from matchopt.network.data.augmentation import augmentation_for
from matchopt.network.data.registry import load_data
from matchopt.plugins import load_plugins
from matchopt.study.place import Place
from matchopt.study.transfer import Correlations

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
    images: list[int] = field(default_factory=list)
    architecture: str = "mlp:784-300-100-10"
    seed: int = 0
    augmentation: str = ""
    labels: str = "fixed"
    patience: int = 0
    every_epoch: bool = False
    correlations: bool = False
    options: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.images) not in (0, 3):
            raise InvalidOption(f"images must be three numbers or empty, found {self.images}")


def run_training(run: TrainingRun, place: Place) -> dict[str, Any]:
    """Train and measure.

    Returns
    -------
    dict
        validation and test accuracy and the largest connectivity, shares 0 .. 1; connections left at the end; seconds
        of training, of the clock and of the processor; epochs; and under "series" what was measured after every epoch
        (validation, connectivity, loss, and correlations if asked for) and at the end of every phase
        (phase_validation, phase_connectivity).
    """
    began, correlations = time.perf_counter(), Correlations(_data(run)) if run.correlations else None
    result = train(run, place, correlations)
    network, history = result.network, result.history
    series: dict[str, list[float | None]] = {
        "validation": [record.validation_accuracy for record in history],
        "connectivity": [record.connectivity for record in history],
        "loss": [record.loss for record in history],
    }
    ends = [n for n, record in enumerate(history) if n + 1 == len(history) or history[n + 1].phase != record.phase]
    series["phase_validation"] = [history[n].validation_accuracy for n in ends]
    series["phase_connectivity"] = [history[n].connectivity for n in ends]
    if correlations is not None:
        series |= correlations.series()
    return {
        "validation": network.record.validation_accuracy,
        "test": network.record.test_accuracy,
        "connectivity": result.connectivity,
        "connections": network.n_connections,
        "final_connectivity": network.connectivity,
        "epochs": len(history),
        "seconds": time.perf_counter() - began,
        "training_seconds": sum(record.seconds for record in history),
        "cpu_seconds": sum(record.cpu_seconds for record in history),
        "series": series,
    }


def train(run: TrainingRun, place: Place, correlations: Correlations | None = None) -> TrainedResult:
    """Train as the settings say; an interrupted training goes on from its checkpoint.

    Raises
    ------
    UnknownName, InvalidOption
        for a trainer, a data set, an architecture or an option that does not exist.
    """
    data = _data(run)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in run.options.items()}
    trainer = load_plugins(place.plugin_files).make_trainer(run.method, options)
    conduct = Conduct(
        transform=augmentation_for(run.augmentation, data) if run.augmentation else None,
        labels=run.labels,  # type: ignore[arg-type]  # Conduct names what it takes
        validate_every=1 if run.every_epoch else None,
        patience=run.patience or None,
        observer=correlations,
    )
    key = content_key({"run": {name: getattr(run, name) for name in run.__dataclass_fields__}})
    checkpoint = None
    if correlations is None:  # what the observer saw is not in a checkpoint
        (place.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        checkpoint = place.folder / "checkpoints" / f"{key}.safetensors"
    result: TrainedResult = trainer.train(
        data, architecture_of(run, data), run.seed, None, checkpoint, place.device, conduct
    )
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return result


def architecture_of(run: TrainingRun, data: ImageData) -> Architecture:
    """The architecture that the settings name, for samples of this shape."""
    return architecture_named(run.architecture, data.shape, data.n_classes)


def _data(run: TrainingRun) -> ImageData:
    data = _loaded(run.data, tuple(sorted(run.data_options.items())))
    return data.first(*run.images) if run.images else data


@lru_cache(maxsize=2)
def _loaded(name: str, options: tuple[tuple[str, Any], ...]) -> ImageData:
    return load_data(name, **dict(options))
