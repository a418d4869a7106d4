"""What can be chosen; apart from the solver, as the training that reads it loads torch."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from matchopt import NonNegativeFloat, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class Options:
    """Options of `Slots`.

    Parameters
    ----------
    epochs : most passes over the samples, >= 0; fewer, with the rate falling faster, where the time limit is short.
    rate : learning rate of the wishes, in units of the layer's root mean square hardware weight; it falls to 0. >= 0;
        0 leaves the wires as they begin.
    bias_rate : the same for digital biases.
    batch : samples per step, >= 1.
    start : "assignment" begins from the start that is given, or the assignment of least weight error; "scratch" from
        random wishes, without the target's weights (its inputs still count where the rules bind to them).
    threshold : a cell h is worth |h| * (|wish| - threshold * |h|): 0.5 is the nearest projection; 0 uses every cell
        where there are inputs enough. >= 0.
    projection : "exact" maximises the total worth of the cells used; "greedy" takes them in turn, largest first.
    schedule : how rates fall to 0.
    rebind : times that rows are assigned to hardware neurons anew, evenly over the first 40 % of training; >= 0. It
        costs accuracy at first and pays where cells are few or their weights odd. Only where gains are fixed.
    ignore : samples whose derivative is below this share of the batch's mean are left out of the gradient, which saves
        time where most samples are learned already. >= 0.
    held_out : share of the samples, in 0 .. 0.5, that is not trained on and judges the epochs.
    """

    epochs: NonNegativeInt = 60
    rate: NonNegativeFloat = 0.01
    bias_rate: NonNegativeFloat = 0.03
    batch: PositiveInt = 100
    start: Literal["assignment", "scratch"] = "assignment"
    threshold: NonNegativeFloat = 0.5
    projection: Literal["exact", "greedy"] = "exact"
    schedule: Literal["linear", "cosine"] = "cosine"
    rebind: NonNegativeInt = 12
    ignore: NonNegativeFloat = 0.2
    held_out: Annotated[float, Interval(ge=0, le=0.5)] = 0.1
