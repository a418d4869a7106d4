"""Hardware and targets drawn at random, by the laws that chips and trained networks show.

All laws have unit root mean square before `scale`, so that one number compares them.
References: laws, noise and fault levels as in Aguirre et al. (Electronics 10:2427, 2021) and the measured arrays of
Li et al. (Nature Communications 2026, s41467-025-67960-6).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance, UnknownName
from matchopt.instances.hardware import Hardware
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

    Parameters
    ----------
    law : gaussian, uniform, lognormal (random sign), bimodal (two peaks of width 0.2) or binary (+-1).
    n_neurons, n_cells : shape of the result, >= 0.
    rng : source of randomness.
    scale : root mean square of the weights, unit of the target weights.

    Raises
    ------
    UnknownName
        for a law that does not exist.
    """
    if law not in LAWS:
        raise UnknownName("hardware law", law, LAWS)
    return scale * LAWS[law](rng, (n_neurons, n_cells))


def sample_measured(
    measured: Float[np.ndarray, "..."],
    n_neurons: int,
    n_cells: int,
    rng: np.random.Generator,
    scale: float | None = None,
) -> Float[np.ndarray, "neurons cells"]:
    """Hardware weights drawn from measured ones, without replacement.

    Cells are taken independently, so correlation between neighbouring cells of the chip is lost; pass the array itself
    as `Hardware.weights` to keep it.

    Parameters
    ----------
    measured : measured weights, any shape and unit.
    n_neurons, n_cells : shape of the result; at most as many cells as were measured.
    rng : source of randomness.
    scale : root mean square to rescale the whole measured array to; None keeps its unit.

    Raises
    ------
    InvalidInstance
        when more cells are asked for than were measured, or the array is not finite.
    """
    values = np.asarray(measured, dtype=np.float64).ravel()
    if not bool(np.isfinite(values).all()):
        raise InvalidInstance("measured weights must be finite; mark bad cells as unusable instead")
    if n_neurons * n_cells > len(values):
        raise InvalidInstance(f"{n_neurons} x {n_cells} cells were asked for, but only {len(values)} were measured")
    chosen = rng.permutation(len(values))[: n_neurons * n_cells]
    rms = float(np.sqrt(np.mean(values**2))) if scale is not None else 1.0
    factor = 1.0 if scale is None else scale / rms
    return factor * values[chosen].reshape(n_neurons, n_cells)


def shared_buses(n_neurons: int, neurons_per_bus: int) -> Int[np.ndarray, " neurons"]:
    """Bus of every neuron where `neurons_per_bus` neighbours share one: 1 is free routing, n_neurons one crossbar."""
    if neurons_per_bus < 1:
        raise InvalidInstance(f"neurons_per_bus must be >= 1, found {neurons_per_bus}")
    return np.arange(n_neurons) // neurons_per_bus


def make_hardware(
    weights: Float[np.ndarray, "neurons cells"],
    rng: np.random.Generator,
    *,
    read_noise: float = 0.0,
    relative_noise: float = 0.0,
    bad_cells: float = 0.0,
    bad_lines: float = 0.0,
    leak: float = 0.0,
    neurons_per_bus: int = 1,
) -> Hardware:
    """Give weights the imperfections of a chip.

    Parameters
    ----------
    weights : fixed weights, shape (M, K).
    rng : source of randomness for faults.
    read_noise : standard deviation of additive read noise, in units of the weights' root mean square, >= 0.
    relative_noise : standard deviation of multiplicative read noise, as a share of each weight, >= 0.
    bad_cells : probability that a cell is unusable, independently, 0 .. 1.
    bad_lines : probability that cell k is unusable in all neurons (a dead line), independently over k, 0 .. 1.
    leak : what a cell contributes while switched off, as a share of its weight.
    neurons_per_bus : neighbouring neurons that share one wiring; 1 is free routing.

    Raises
    ------
    InvalidInstance
        when a share or probability is out of its range.
    """
    for name, value, most in (
        ("read_noise", read_noise, np.inf),
        ("relative_noise", relative_noise, np.inf),
        ("bad_cells", bad_cells, 1.0),
        ("bad_lines", bad_lines, 1.0),
    ):
        if not 0.0 <= value <= most:
            raise InvalidInstance(f"{name} must be in 0 .. {most}, found {value}")
    full = np.asarray(weights, dtype=np.float64)
    rms = float(np.sqrt(np.mean(full**2))) if full.size else 0.0
    noisy = read_noise > 0 or relative_noise > 0
    variance = (read_noise * rms) ** 2 + (relative_noise * full) ** 2 if noisy else None
    usable = None
    if bad_cells > 0 or bad_lines > 0:
        dead_line = rng.random(full.shape[1]) < bad_lines
        usable = (rng.random(full.shape) >= bad_cells) & ~dead_line
    return Hardware(
        full,
        variance,  # type: ignore[arg-type]  # None means default
        usable,  # type: ignore[arg-type]
        leak * full if leak else None,  # type: ignore[arg-type]
        shared_buses(len(full), neurons_per_bus),
    )


def draw_hardware(
    law: str,
    n_neurons: int,
    n_cells: int,
    rng: np.random.Generator,
    *,
    scale: float = 1.0,
    scale_error: float = 1.0,
    read_noise: float = 0.0,
    relative_noise: float = 0.0,
    bad_cells: float = 0.0,
    bad_lines: float = 0.0,
    leak: float = 0.0,
    neurons_per_bus: int = 1,
) -> Hardware:
    """Draw hardware of one law with the imperfections of `make_hardware`.

    Parameters
    ----------
    law, n_neurons, n_cells, rng, scale : see `draw_weights`; the usual scale is the rms of the layer's target weights.
    scale_error : factor on `scale`, for hardware whose range misses the target's.
    read_noise, relative_noise, bad_cells, bad_lines, leak, neurons_per_bus : see `make_hardware`.
    """
    weights = draw_weights(law, n_neurons, n_cells, rng, scale * scale_error)
    return make_hardware(
        weights,
        rng,
        read_noise=read_noise,
        relative_noise=relative_noise,
        bad_cells=bad_cells,
        bad_lines=bad_lines,
        leak=leak,
        neurons_per_bus=neurons_per_bus,
    )


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
