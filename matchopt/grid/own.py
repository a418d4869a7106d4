"""Files of one's own that a study names by path: a network, its data, a chip; known by their content."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import numpy as np
from annotated_types import MinLen

from matchopt.errors import DataError, InvalidOption
from matchopt.formats import ChipFile, Reading, file_sha256, read_chip
from matchopt.instances import Chip, Hardware, Imperfections, Target
from matchopt.instances.chip_state import ChipState
from matchopt.network import ImageData, SparseNetwork
from matchopt.network.chip import Fit, chip_layers, chip_shared, one_chip
from matchopt.network.evaluation import Accuracies, data_of
from matchopt.network.own_network import read_own, samples_of
from matchopt.settings import FiniteFloat, NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class NetworkFiles:
    """A trained network of one's own.

    Parameters
    ----------
    file : the network, as `matchopt export` reads it; a path from the study's folder on, as all others here.
    architecture, mean, std : what `--architecture`, `--mean` and `--std` say there; empty for what the file says.
    data : an .npz file, or a folder of images, that accuracies are measured on; empty for those the network names.
    """

    file: str
    architecture: str = ""
    data: str = ""
    mean: tuple[FiniteFloat, ...] = ()
    std: tuple[FiniteFloat, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The files."""
        return (self.file, self.data) if self.data else (self.file,)


@dataclass(frozen=True)
class ChipFiles:
    """A measured chip of one's own.

    Parameters
    ----------
    files : FILE or FILE:NAME, as `--hardware` takes them.
    layout : "shared": the files are one chip, and each layer gets its next rows, as many as `neuron_ratio` says, and of
        each as many cells as `fan_in_ratio` says. "one-chip": every neuron is offered to every layer. "layers": one
        file is one layer.
    scale_per : what has a scale of its own from measured values to weights; "none" leaves them as they are.
    unit, stuck_below, stuck_above, cells, dead_blanks : see `matchopt.formats.Reading`.
    pairs : see `matchopt.instances.Chip`.
    line_resistance, readings : see `ChipState`; no readings are the latest one.
    """

    files: Annotated[tuple[str, ...], MinLen(1)]
    layout: Literal["shared", "one-chip", "layers"] = "shared"
    scale_per: Literal["layer", "array", "neuron", "none"] = "layer"
    unit: str = ""
    stuck_below: FiniteFloat | None = None
    stuck_above: FiniteFloat | None = None
    cells: PositiveInt | None = None
    dead_blanks: bool = False
    pairs: Literal["none", "fixed", "free"] = "none"
    line_resistance: NonNegativeFloat = 0.0
    readings: tuple[NonNegativeFloat, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The files."""
        return self.files


Told = TypeVar("Told", NetworkFiles, ChipFiles)


@dataclass(frozen=True)
class _Found(Generic[Told]):
    """Files where they are, and what is in them.

    Parameters
    ----------
    folder : paths begin here.
    digests : SHA-256 of each file or folder when the study began.
    told : what the study says of them.
    """

    folder: Path
    digests: tuple[str, ...]
    told: Told

    @classmethod
    def found(cls, told: Told, folder: Path) -> Self:
        """As the files are now; raises DataError where one cannot be read."""
        return cls(folder, _digests(folder, told.paths), told)

    def check_same(self) -> None:
        """Raise DataError where a file is gone, or another one than when the study began."""
        paths = self.told.paths
        for path, now, then in zip(paths, _digests(self.folder, paths), self.digests, strict=True):
            if now != then:
                raise DataError(f"{self.folder / path} changed while the study ran; run the study again")


def _digests(folder: Path, paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(_digest(ChipFile.parse(str(folder / path)).path) for path in paths)


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of names and content of all that is in the folders of a folder."""
    try:
        if not path.is_dir():
            return file_sha256(path)
        lines = [f"{each.relative_to(path)} {file_sha256(each)}" for each in sorted(path.glob("*/*")) if each.is_file()]
    except OSError as cause:
        raise DataError(f"{path} cannot be read: {cause.strerror}; paths begin in the study's folder") from None
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class OwnNetwork(_Found[NetworkFiles]):
    """A network and its data; see `NetworkFiles`."""

    def facts(self) -> dict[str, Any]:
        """All that determines what is read."""
        return asdict(self.told) | {"file": self.digests[0], "data": self.digests[1:]}

    def read(self) -> tuple[SparseNetwork, ImageData | None]:
        """The network and its data; None where there are none.

        Raises MatchoptError when a file is none, is no other's, or is another one than when the study began.
        """
        self.check_same()
        return _network(self)

    def measured(self) -> tuple[SparseNetwork, ImageData | None]:
        """The same, with the network's accuracies on these data in its record."""
        self.check_same()
        return _measured(self)


@dataclass(frozen=True)
class OwnChip(_Found[ChipFiles]):
    """A chip; see `ChipFiles`."""

    def facts(self) -> dict[str, Any]:
        """All that determines what is read."""
        names = [ChipFile.parse(str(self.folder / path)).name for path in self.told.files]
        return asdict(self.told) | {"files": [*zip(self.digests, names, strict=True)]}

    def read(self) -> Chip | tuple[Chip, ...]:
        """The chip; one for each layer where the layout says so. See `OwnNetwork.read`."""
        self.check_same()
        return _chips(self)

    def hardware(
        self, targets: Sequence[Target], sizes: Sequence[tuple[int, int]], seed: int, flaws: Imperfections
    ) -> tuple[Hardware, ...]:
        """One for each layer; see `matchopt.network.chip`.

        Raises InvalidInstance or InvalidOption when the layers do not fit on the chip, or with these flaws.
        """
        told, chip, rng = self.told, self.read(), np.random.default_rng(seed)
        fit: Fit = told.scale_per == "layer" if told.scale_per in ("layer", "none") else told.scale_per  # type: ignore[assignment]
        if isinstance(chip, Chip):
            on_one = told.layout == "one-chip"
            return one_chip(chip, targets, rng, flaws, fit) if on_one else chip_shared(
                chip, targets, sizes, rng, flaws, fit
            )  # fmt: skip
        if flaws != Imperfections():
            raise InvalidOption(f"chip {told.files[0]} ..: with layout = 'layers' the flaws come from the files; leave "
                                "noise, bad_cells and stuck_cells out")  # fmt: skip
        if len(chip) != len(targets):
            raise InvalidOption(f"chip {told.files[0]} ..: layout = 'layers' takes one file for each layer, "
                                f"{len(targets)}, found {len(chip)}")  # fmt: skip
        return chip_layers(chip, targets, fit)


@lru_cache(maxsize=2)
def _network(own: OwnNetwork) -> tuple[SparseNetwork, ImageData | None]:
    told = own.told
    network = read_own(own.folder / told.file, told.architecture or None, told.mean or None, told.std or None)
    if told.data:
        return network, samples_of(own.folder / told.data, network)
    return network, data_of(network.record.data, network.widths[0])


@lru_cache(maxsize=2)
def _measured(own: OwnNetwork) -> tuple[SparseNetwork, ImageData | None]:
    network, data = _network(own)
    if data is None:
        return network, None
    found = Accuracies.of(network, data)
    record = replace(network.record, validation_accuracy=found.validation, test_accuracy=found.test)
    return network.with_record(replace(record, data=data.reference)), data


@lru_cache(maxsize=2)
def _chips(own: OwnChip) -> Chip | tuple[Chip, ...]:
    told, files = own.told, [ChipFile.parse(str(own.folder / path)) for path in own.told.files]
    how = Reading(told.unit, told.stuck_below, told.stuck_above, told.cells, told.dead_blanks)
    state = ChipState(told.readings or None, told.line_resistance)
    if told.layout == "layers":
        return tuple(state.of(read_chip([file], how, told.pairs)) for file in files)
    return state.of(read_chip(files, how, told.pairs))
