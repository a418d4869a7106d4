"""Gains and biases layer by layer, by least squares on what the mapped network itself receives; no labels."""

from dataclasses import dataclass, replace

import numpy as np

from matchopt import Gains, LayerInstance, LayerMapping, Limits, NetworkInstance, NetworkMapping, Result
from matchopt_corrections.beginning import affordable, is_better, samples_of, split, started

NEGLIGIBLE = 1e-12  # share of a square below which a sum of squares is rounding


@dataclass(frozen=True)
class Fit:
    """What to fit: gains, biases or both, in the layers from number `first` on."""

    gains: bool
    biases: bool
    first: int = 0


def fit(instance: NetworkInstance, mapping: NetworkMapping, inputs: np.ndarray, what: Fit) -> NetworkMapping:
    """Fit every row's gain and bias to the target's pre-activations on its own activity.

    With z' the target's pre-activation of a row, t what its tunable weights add and u = (wired weights) . x the rest at
    gain 1, x being the activity of the mapped network with the layers before already fitted: the gain minimises
    E (z' - b - t - g u)^2 + g^2 (read noise), among those allowed, and the bias is b = E(z' - t - g u), so that the
    mean error of every pre-activation is zero. Filters and gates are seen at many places, over which E is taken, too;
    gates on what cells put out before the fit.

    Parameters
    ----------
    instance, mapping : what was mapped, and how.
    inputs : what the network receives, shape (samples, inputs).
    what : the others stay as they are in the mapping.
    """
    wanted, runs = instance.target_signals(inputs), instance.runs
    begin = instance.biases if mapping.biases is None else mapping.biases
    current = (
        []
        if runs.plain
        else [layer.realised(part) for layer, part in zip(instance.layers, mapping.layers, strict=True)]
    )
    layers, fitted, before = [], [], inputs
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        received = runs.received(n, before, current, begin)
        wired, tuned = _parts(layer, part)
        signal, rest = received @ wired.T, wanted[n] - received @ tuned.T
        gain, bias = part.gain, None if begin is None else begin[n]
        biases = what.biases and n >= what.first
        if what.gains and n >= what.first and not layer.rules.gains.fixed:
            noise = layer.noise(_at_unit_gain(part)) @ (received**2).mean(axis=0)
            gain = _gains(signal, rest if bias is None or biases else rest - bias, noise, biases, layer, part)
        if biases:
            bias = (rest - gain * signal).mean(axis=0)
        layers.append(replace(part, gain=gain))
        fitted.append(bias)
        if runs.hears_itself(n):
            received = runs.received(n, before, [gain[:, None] * wired + tuned], None if bias is None else [bias])
            signal = received @ wired.T
        sums = gain * signal + received @ tuned.T
        before = sums if bias is None else sums + bias
    return NetworkMapping(tuple(layers), tuple(fitted) if what.biases else mapping.biases)  # type: ignore[arg-type]  # arrays


def corrected(
    instance: NetworkInstance, limits: Limits, name: str, most: int, rng: np.random.Generator, what: Fit
) -> Result:
    """What a solver called `name` finds by `_best_fit` on at most so many samples."""
    start = started(instance, limits, name)
    if isinstance(start, Result):
        return start
    noun = "gains" if what.gains else "biases"
    found, first = _best_fit(instance, start, most, rng, what)
    if first is None:
        return Result(start, message=f"the {noun} as they were are better on samples set aside, and are kept")
    changed = sum(layer.n_rows for layer in instance.layers[first:])
    if what.gains:
        changed = sum(int((a.gain != b.gain).sum()) for a, b in zip(found.layers, start.layers, strict=True))
    return Result(found, stats={noun: changed, "first layer": first})


def _best_fit(
    instance: NetworkInstance, start: NetworkMapping, most: int, rng: np.random.Generator, what: Fit
) -> tuple[NetworkMapping, int | None]:
    """The start with gains or biases fitted to all samples, and the first layer fitted: None where the start is best.

    The layers from `what.first` on are fitted, or from a later one: what the first layers gain in pre-activations they
    can lose behind their thresholds. What decides are corrections fitted to nine tenths of the samples, judged on the
    others by the instance's objective.
    """
    samples = samples_of(instance)
    seen, held_out = split(samples.counted, affordable(instance, most), rng)
    inputs, best, chosen = samples.rows(seen), start, None
    for first in reversed(range(what.first, len(instance.layers))):
        trial = fit(instance, start, inputs, replace(what, first=first))
        if is_better(instance, trial, best, held_out):
            best, chosen = trial, replace(what, first=first)
    if chosen is None or held_out is seen:
        return best, None if chosen is None else chosen.first
    every = np.sort(np.concatenate([seen, held_out]))
    return fit(instance, start, samples.rows(every), chosen), chosen.first


def _at_unit_gain(part: LayerMapping) -> LayerMapping:
    return replace(part, gain=np.ones(part.n_rows))


def _parts(layer: LayerInstance, part: LayerMapping) -> tuple[np.ndarray, np.ndarray]:
    """The realised weights at gain 1 without those that are tunable, and those that are."""
    wired, tuned = layer.realised(_at_unit_gain(part)), np.zeros((layer.n_rows, layer.target.n_inputs))
    place = layer.target.row_of[part.tunable], layer.target.indices[part.tunable]
    tuned[place], wired[place] = wired[place], 0.0
    return wired, tuned


def _gains(
    signal: np.ndarray, rest: np.ndarray, noise: np.ndarray, centred: bool, layer: LayerInstance, part: LayerMapping
) -> np.ndarray:
    """The best allowed gain of every row; the one it has where the signal is silent."""
    if centred:
        signal, rest = signal - signal.mean(axis=0), rest - rest.mean(axis=0)
    square = (signal**2).mean(axis=0) + noise
    loud = square > NEGLIGIBLE * float(square.max(initial=0.0))
    best = (signal * rest).mean(axis=0) / np.where(loud, square, 1.0)
    return np.where(loud, _allowed(best, layer.rules.gains), part.gain)


def _allowed(best: np.ndarray, gains: Gains) -> np.ndarray:
    """The nearest allowed gains; the error is a parabola in the gain, so nearest is best."""
    if gains.values is None:
        return np.asarray(np.clip(best, gains.low, gains.high))
    values = np.array(sorted(gains.values))
    return np.asarray(values[np.abs(best[:, None] - values).argmin(axis=1)])
