"""What the demo does: which network, which hardware, how long a solver may take."""

from dataclasses import dataclass
from typing import Literal

from matchopt.errors import InvalidOption
from matchopt.network import ImageData, Trainer, load_mnist

# The regimes that tell solvers apart and that do not: below K/n = 1.5 the choice of neurons decides, at 4 nothing does.
TIGHT, ROOMY = 1.25, 4.0
Question = Literal["weights", "outputs", "labels"]
SUFFIXES: dict[Question, str] = {"weights": "", "outputs": ", outputs", "labels": ", labels"}


@dataclass(frozen=True)
class Regime:
    """Random hardware of one size, drawn several times.

    Parameters
    ----------
    ratio : cells of a hardware neuron as a multiple of the largest fan-in of its layer, K/n.
    draws : number of hardware draws, with seeds counted on from the plan's.
    question : what is minimised. "weights": the weight error. "outputs": the error of the mapped network's
        pre-activations on sample images, without labels; "labels": its loss on labelled images. With these two a
        mapping may set the digital biases, drop connections and wire other inputs.
    images : training images that the instance holds; 0 for all; without effect for "weights".
    seconds : most seconds for one solve.
    pipelines : solvers in a row that are tried besides every registered solver.
    """

    ratio: float
    draws: int
    question: Question = "weights"
    images: int = 0
    seconds: float = 25.0
    pipelines: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"K/n = {self.ratio:g}{SUFFIXES[self.question]}"


@dataclass(frozen=True)
class Plan:
    """Everything that determines the demo's results.

    Parameters
    ----------
    trainer : the training method.
    widths : units of each layer of the network.
    images : images of each part of MNIST (train, validation, test); None for all.
    regimes : the hardware.
    seed : seed of training; hardware draws count on from it.
    law : law of the hardware weights.
    full : whether this is the plan the claims are about.
    """

    trainer: Trainer
    widths: tuple[int, ...]
    images: tuple[int, int, int] | None
    regimes: tuple[Regime, ...]
    seed: int
    law: str = "gaussian"
    full: bool = True

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InvalidOption(f"seed must be >= 0, found {self.seed}")

    def data(self) -> ImageData:
        """The data set of this plan."""
        return load_mnist() if self.images is None else load_mnist().first(*self.images)


def full_plan(seed: int) -> Plan:
    """LeNet-300-100 with fan-in 8, 8 and 30; three draws of tight hardware and one of roomy hardware.

    On the tight hardware three questions are asked, one after the other knowing more: weights, inputs, labels.
    """
    from matchopt.network import GradualPruning

    regimes = (
        Regime(TIGHT, 3),
        Regime(TIGHT, 3, "outputs", 5_000, 8.0),
        Regime(TIGHT, 1, "labels", 0, 25.0, ("reroute+slots",)),
        Regime(ROOMY, 1),
    )
    return Plan(GradualPruning.for_demo(), (784, 300, 100, 10), None, regimes, seed)


def quick_plan(seed: int) -> Plan:
    """A small network on few images and tight hardware alone: every step, in seconds."""
    from matchopt.network import GradualPruning

    trainer = GradualPruning(fan_in=(8, 8, 10), prune_epochs=2, retrain_epochs=3)
    regimes = (
        Regime(TIGHT, 2, seconds=3.0),
        Regime(TIGHT, 1, "outputs", 1_000, 3.0),
        Regime(TIGHT, 1, "labels", 0, 3.0, ("reroute+slots",)),
    )
    return Plan(trainer, (784, 40, 20, 10), (4_000, 1_000, 1_000), regimes, seed, full=False)
