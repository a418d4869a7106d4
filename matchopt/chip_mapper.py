"""A network on a chip in one call, in the manner of scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidOption, Refused, UnknownName
from matchopt.formats import ChipFile, read_chip
from matchopt.formats.wiring import Wire
from matchopt.instances import Chip, ChipArray, Hardware, Imperfections, NetworkInstance, NetworkMapping, Rules
from matchopt.instances.generators import LAWS
from matchopt.network import (
    RealisedNetwork,
    SparseNetwork,
    draw_hardware,
    export_network,
    measure,
    read_network,
    realise,
)
from matchopt.network.chip import chip_layers, chip_shared
from matchopt.network.evaluation import Evaluation, data_of, evaluate
from matchopt.network.export import chip_sizes, layer_targets
from matchopt.network.objectives import compact_images
from matchopt.notebook import facts_table
from matchopt.plots import plot_weights
from matchopt.run import Mapped, Run, solve
from matchopt.run.choice import teaches
from matchopt.settings import NonNegativeInt, checked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Strategy = Literal["auto", "weights", "outputs", "labels"]
Inputs = Float[np.ndarray, "samples inputs"]
Labels = Int[np.ndarray, " samples *frames"]
ChipSource = str | PathLike[str] | np.ndarray | Sequence[str | PathLike[str] | np.ndarray] | Sequence[Hardware]
OBJECTIVES = {"weights": "weight-error", "outputs": "score-error", "labels": "task-loss"}
LOOSE = 4.0  # cells for a connection from which on matching weights loses nothing (docs/answer.md)
SAMPLES = 5_000  # of a network's own data set


@dataclass(eq=False)
class ChipMapper:
    """Put a trained network on a chip: `ChipMapper().fit("net.safetensors", "chip.npz").accuracy_`.

    Parameters
    ----------
    strategy : what is matched. "weights": those of the network, connection by connection. "outputs": the network's
        outputs on sample inputs; cells may then listen to other inputs, connections go and digital biases move.
        "labels": the labels of samples, under the same rules. "auto": labels where `fit` gets `y`, six or more for each
        connection, or 50,000; weights where the chip routes freely and has four cells or more for each connection;
        else outputs where there are samples.
    solver : name of a solver or a pipeline; "auto" for the one that suits.
    fan_in_ratio : K/n, cells of a hardware neuron for each connection, of random chips and of an array that is shared.
    neuron_ratio : M/m, hardware neurons for each of the network's, of the same.
    rules : what a mapping may do; None for what the strategy needs.
    keep_scale : whether measured values stay as they are; otherwise each layer's are scaled to its weights.
    time_limit : seconds of the solver's clock; None for no limit.
    threads : most threads.
    seed : of a random chip and of the solver.

    Attributes
    ----------
    instance_ : the problem that was solved.
    run_ : the record of the solve, with proof and bound.
    solver_, message_ : which solver it was, and what was said, its choice by "auto" included.
    strategy_ : which strategy it was.
    mapping_ : the mapping; `mapping_.save("wiring.csv")` writes its table.
    realised_ : the network that the chip realises; `realised_.logits(X)` runs it.
    wiring_ : the wiring table, one line for each wire.
    evaluation_ : accuracies and errors of the layers.
    accuracy_, target_accuracy_ : on the test data of the network's own data set, 0 .. 1; None where it names none.

    Examples
    --------
    >>> from matchopt.library import problems_folder
    >>> mapper = ChipMapper(fan_in_ratio=4.0).fit(problems_folder() / "networks" / "row8-seed0.safetensors", "gaussian")
    >>> mapper.solver_, mapper.run_.proof, round(mapper.accuracy_, 2)
    ('hungarian', 'proven', 0.97)
    """

    strategy: Strategy = "auto"
    solver: str = "auto"
    fan_in_ratio: float = 1.25
    neuron_ratio: float = 1.0
    rules: Rules | None = None
    keep_scale: bool = False
    time_limit: float | None = 60.0
    threads: int = 1
    seed: int = 0
    run_: Run = field(init=False, repr=False)
    instance_: NetworkInstance = field(init=False, repr=False)
    realised_: RealisedNetwork = field(init=False, repr=False)
    evaluation_: Evaluation = field(init=False, repr=False)
    strategy_: str = field(init=False, repr=False)

    def fit(
        self,
        network: SparseNetwork | str | PathLike[str],
        chip: ChipSource = "gaussian",
        X: Inputs | None = None,
        y: Labels | None = None,
    ) -> "ChipMapper":
        """Map `network` onto `chip`.

        Parameters
        ----------
        network : a trained network, or its file, see `matchopt.network.read_network`.
        chip : measured weights, a matrix (hardware neurons x cells) or its file, see `matchopt.formats.read_chip`, one
            for each layer or one that layers share; hardware, one for each layer; or a law of random weights.
        X : inputs as the network takes them; None for those of the data set that the network names.
        y : their labels, for the strategy "labels".

        Raises
        ------
        MatchoptError
            when files cannot be read, the chip does not fit, or the strategy lacks samples.
        Refused
            when there is no mapping; the sentence says why.
        """
        checked(self.seed, NonNegativeInt, "seed", InvalidOption)
        trained = network if isinstance(network, SparseNetwork) else read_network(Path(network))
        data = data_of(trained.record.data, trained.widths[0])
        hardware = self._hardware(trained, chip)
        if X is None and data is not None:
            X = data.train_images[:SAMPLES]
        self.strategy_ = self._strategy(trained, hardware, X, y)
        self.instance_ = self._instance(trained, hardware, X, y)
        limits: dict[str, Any] = {"time_limit": self.time_limit, "threads": self.threads, "seed": self.seed}
        self.run_ = solve(self.instance_, self.solver, **limits)
        if not isinstance(self.run_.solution, NetworkMapping):
            raise Refused(f"{self.run_.solver} found no mapping ({self.run_.status}): {self.run_.message}")
        self.realised_ = realise(self.instance_, self.run_.solution)
        self.evaluation_ = evaluate(self.instance_, self.run_.solution, data, trained)
        return self

    def predict(self, X: Inputs) -> Labels:
        """The class of each sample (and frame) by the network on the chip."""
        found: np.ndarray = self.realised_.logits(X).argmax(axis=-1)
        return found

    def score(self, X: Inputs, y: Labels) -> float:
        """The share of samples that the network on the chip classifies correctly, 0 .. 1."""
        return measure(self.realised_, X, y).accuracy

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, as scikit-learn's `clone` and searches ask for them."""
        del deep  # none of them has parameters of its own
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    def set_params(self, **params: Any) -> "ChipMapper":
        """Set parameters by name; raises UnknownName for one that does not exist."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise UnknownName("parameter of ChipMapper", name, known)
            setattr(self, name, value)
        return self

    @property
    def mapping_(self) -> Mapped:
        """The mapping with its instance."""
        return self.run_.mapping

    @property
    def wiring_(self) -> tuple[Wire, ...]:
        """Every wire, one line each."""
        return self.mapping_.wiring()

    @property
    def solver_(self) -> str:
        """The solver, or pipeline, that found the mapping."""
        return self.run_.solver

    @property
    def message_(self) -> str:
        """What was said, the choice of the solver included."""
        return self.run_.message

    @property
    def accuracy_(self) -> float | None:
        """Test accuracy on the chip."""
        return None if self.evaluation_.mapped is None else self.evaluation_.mapped.test

    @property
    def target_accuracy_(self) -> float | None:
        """Test accuracy of the network itself."""
        return None if self.evaluation_.target is None else self.evaluation_.target.test

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw realised against wanted weights; see `matchopt.plot_weights`."""
        return plot_weights(self.mapping_, ax)

    def _repr_html_(self) -> str:
        facts = self.get_params()
        if hasattr(self, "evaluation_"):
            facts = {"strategy": self.strategy_, "solver": self.solver_, "message": self.message_}
            facts |= {"objective": self.run_.objective, "bound": self.run_.bound, "proof": self.run_.proof}
            facts |= {"accuracy": self.accuracy_, "accuracy of the network itself": self.target_accuracy_}
        return facts_table("ChipMapper", facts)

    def _hardware(self, network: SparseNetwork, chip: ChipSource) -> Sequence[Hardware]:
        if isinstance(chip, str) and chip in LAWS:
            return draw_hardware(network, chip, self.fan_in_ratio, self.neuron_ratio, self.seed)
        given: Sequence[Any] = [chip] if isinstance(chip, str | PathLike | np.ndarray) else list(chip)
        if not given or all(isinstance(each, Hardware) for each in given):
            return given
        chips = [_chip(each) for each in given]
        targets = layer_targets(network)
        if len(chips) > 1 or len(targets) == 1:
            if len(chips) != len(targets):
                raise InvalidOption(f"chip: one for each layer is needed, {len(targets)}, or one; found {len(chips)}")
            return chip_layers(chips, targets, not self.keep_scale)
        sizes = chip_sizes(targets, [self.fan_in_ratio] * len(targets), self.neuron_ratio)
        rng = np.random.default_rng(self.seed)
        return chip_shared(chips[0], targets, sizes, rng, Imperfections(), not self.keep_scale)

    def _strategy(
        self, network: SparseNetwork, hardware: Sequence[Hardware], X: Inputs | None, y: Labels | None
    ) -> str:
        if self.strategy not in ("auto", *OBJECTIVES):
            raise InvalidOption(f"strategy must be auto, {', '.join(OBJECTIVES)}, found {self.strategy!r}")
        needed = {"outputs": [X], "labels": [X, y]}.get(self.strategy, [])
        if any(each is None for each in needed):
            raise InvalidOption(f"strategy {self.strategy!r} needs {'X and y' if len(needed) > 1 else 'X'}: give fit "
                                "samples, or the network a data set")  # fmt: skip
        if self.strategy != "auto":
            return self.strategy
        if X is not None and y is not None and teaches(len(X), network.n_connections):
            return "labels"
        # Cells on lines that others share, or on one input alone, are not there for every connection to choose among.
        loose = (
            layer.free_routing
            and not layer.hard_wired
            and int(layer.n_usable.min()) >= LOOSE * int(target.fan_in.max(initial=0))
            for layer, target in zip(hardware, layer_targets(network), strict=False)
        )
        return "weights" if X is None or all(loose) else "outputs"

    def _instance(
        self, network: SparseNetwork, hardware: Sequence[Hardware], X: Inputs | None, y: Labels | None
    ) -> NetworkInstance:
        if self.strategy_ == "weights":
            return export_network(network, hardware, rules=self.rules)
        assert X is not None, "`_strategy` has seen to it"
        samples, scale = compact_images(np.asarray(X))
        return export_network(
            network,
            hardware,
            rules=self.rules or Rules(drop=True, extra_inputs=True),
            objective=OBJECTIVES[self.strategy_],
            biases="adjustable",
            sample_inputs=samples,
            sample_labels=None if y is None or self.strategy_ == "outputs" else np.asarray(y),
            sample_scale=scale,
        )


def _chip(given: str | PathLike[str] | np.ndarray) -> Chip:
    if isinstance(given, np.ndarray):
        return Chip((ChipArray(given),))
    return read_chip([ChipFile.parse(str(given))])
