"""Hardware and targets drawn at random, by the laws that chips and trained networks show.

All laws have unit root mean square before `scale`, so that one number compares them.
References: laws, noise and fault levels as in Aguirre et al. (Electronics 10:2427, 2021) and the measured arrays of
Li et al. (Nature Communications 2026, s41467-025-67960-6).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance, UnknownName
from matchopt.instances.hardware import Hardware
from matchopt.instances.imperfections import PERFECT, Imperfections
from matchopt.instances.target import Target

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

LAWS: dict[str, Draw] = {
    "gaussian": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), shape),
    "lognormal": lambda rng, shape: rng.choice([-1.0, 1.0], shape) * np.exp(rng.standard_normal(shape)) / np.e,
    "bimodal": lambda rng, shape: (
        rng.choice([-1.0, 1.0], shape) * (1.0 + 0.2 * rng.standard_normal(shape)) / np.sqrt(1.04)
    ),
    "binary": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
}
TARGET_LAWS: dict[str, Draw] = {
    "gaussian": LAWS["gaussian"],
    "laplace": lambda rng, shape: rng.laplace(0.0, np.sqrt(0.5), shape),
    # Magnitudes of trained, pruned weights: a gap around zero, then a falling tail.
    "pruned": lambda rng, shape: rng.choice([-1.0, 1.0], shape) * (0.6 + rng.gamma(2.0, 0.2, shape)) / np.sqrt(1.08),
}


def draw_weights(
    law: str, n_neurons: int, n_cells: int, rng: np.random.Generator, scale: float = 1.0
) -> Float[np.ndarray, "neurons cells"]:
    """Independent hardware weights of one law, root mean square `scale`.

    Raises UnknownName for a law that does not exist.

    Parameters
    ----------
    law : gaussian, uniform, lognormal (random sign), bimodal (two peaks of width 0.2) or binary (+-1).
    n_neurons, n_cells : shape of the result, >= 0.
    rng : source of randomness.
    scale : root mean square of the weights, unit of the target weights.
    """
    if law not in LAWS:
        raise UnknownName("hardware law", law, LAWS)
    return scale * LAWS[law](rng, (n_neurons, n_cells))


def sample_measured(
    measured: Float[np.ndarray, "..."], n_neurons: int, n_cells: int, rng: np.random.Generator
) -> Float[np.ndarray, "neurons cells"]:
    """Hardware weights drawn from measured ones, without replacement.

    Cells are taken independently, so correlation between neighbouring cells of the chip is lost; pass the array itself
    as `Hardware.weights` to keep it. Raises InvalidInstance when more cells are asked for than were measured, or the
    array is not finite.

    Parameters
    ----------
    measured : measured weights, any shape and unit.
    n_neurons, n_cells : shape of the result; at most as many cells as were measured.
    rng : source of randomness.
    """
    values = np.asarray(measured, dtype=np.float64).ravel()
    if not bool(np.isfinite(values).all()):
        raise InvalidInstance("measured weights must be finite; mark bad cells as unusable instead")
    if n_neurons * n_cells > len(values):
        raise InvalidInstance(f"{n_neurons} x {n_cells} cells were asked for, but only {len(values)} were measured")
    chosen = rng.permutation(len(values))[: n_neurons * n_cells]
    return values[chosen].reshape(n_neurons, n_cells)


def draw_hardware(
    law: str,
    n_neurons: int,
    n_cells: int,
    rng: np.random.Generator,
    scale: float = 1.0,
    imperfections: Imperfections = PERFECT,
) -> Hardware:
    """Draw hardware of one law, with imperfections.

    Parameters
    ----------
    law, n_neurons, n_cells, rng, scale : see `draw_weights`; the usual scale is the rms of the layer's target weights.
    imperfections : what the chip does to these weights.
    """
    return imperfections.applied(draw_weights(law, n_neurons, n_cells, rng, scale), rng)


def draw_target(
    n_rows: int, n_inputs: int, fan_in: int, rng: np.random.Generator, law: str = "gaussian", scale: float = 1.0
) -> Target:
    """Draw a sparse target with `fan_in` connections per row on random inputs.

    Parameters
    ----------
    n_rows, n_inputs : size of the layer.
    fan_in : connections per row, in 0 .. n_inputs.
    rng : source of randomness.
    law : gaussian, laplace or pruned (magnitudes of trained, pruned weights), unit root mean square.
    scale : root mean square of the weights.

    Raises
    ------
    UnknownName
        for a law that does not exist.
    InvalidInstance
        for a fan-in that does not fit.
    """
    if law not in TARGET_LAWS:
        raise UnknownName("target law", law, TARGET_LAWS)
    if not 0 <= fan_in <= n_inputs:
        raise InvalidInstance(f"fan_in must be in 0 .. {n_inputs}, found {fan_in}")
    inputs = np.argsort(rng.random((n_rows, n_inputs)), axis=1)[:, :fan_in]
    weights = scale * TARGET_LAWS[law](rng, (n_rows * fan_in,))
    return Target(np.arange(n_rows + 1) * fan_in, np.sort(inputs, axis=1).ravel(), weights, n_inputs)
