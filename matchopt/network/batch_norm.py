"""Batch normalisation between linear layers, multiplied into the layer it stands beside."""

from collections.abc import Mapping

import numpy as np

from matchopt.formats.sources import Source
from matchopt.network.layer_order import by_number

EPSILON = 1e-5  # PyTorch's default; files of weights do not hold it
_MEAN, _VARIANCE = ".running_mean", ".running_var"

Arrays = Mapping[str, np.ndarray]


def folded(arrays: Arrays, source: Source) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays without batch normalisations, and a sentence for each that was multiplied into a linear layer.

    In a Sequential the numbers tell on which side of the ReLU one stands: directly after a linear layer it comes before
    the ReLU, directly before one, with something between it and the last, it comes after. Names such as fc1, bn1, fc2
    do not tell. Raises FormatError when it cannot be told where one stands.
    """
    found = {_dotted(name): array for name, array in arrays.items()}
    modules = by_number(list(dict.fromkeys(name.rpartition(".")[0] for name in found)))
    norms = [stem for stem in modules if stem + _MEAN in found]
    notes = []
    for stem in norms:
        scale, shift = _taken(found, stem, source)
        before, after = _beside(modules, stem)
        layer = before or after
        weight = found.get(f"{layer}.weight")
        side = 0 if before else 1
        if layer is None or weight is None or weight.ndim != 2 or weight.shape[side] != len(scale):
            name = stem.strip(".") or "weight"
            raise source.error(f"it cannot be told on which side of the ReLU the batch normalisation {name!r} stands; "
                               "multiply it into a layer (torch.nn.utils.fusion.fuse_linear_bn_eval)")  # fmt: skip
        bias = found.get(f"{layer}.bias", np.zeros(len(weight)))
        found[f"{layer}.weight"] = weight * (scale if side else scale[:, None])
        found[f"{layer}.bias"] = bias + weight @ shift if side else bias * scale + shift
        where = f"{'after' if before else 'before'} {layer.strip('.')}"
        notes.append(f"batch normalisation {stem.strip('.')} {where}: multiplied into it, epsilon {EPSILON:g}")
    return {name.removeprefix("."): array for name, array in found.items()}, notes


def _taken(found: dict[str, np.ndarray], stem: str, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Take one out of the arrays; the factors and summands that it is."""
    mean = found.pop(stem + _MEAN)
    parts = [found.pop(stem + name, None) for name in (_VARIANCE, ".weight", ".bias")]
    variance, weight, bias = (np.ones(mean.shape) if part is None and n == 1 else np.zeros(mean.shape) if part is None
                              else part.astype(np.float64) for n, part in enumerate(parts))  # fmt: skip
    shapes = {array.shape for array in (mean, variance, weight, bias)}
    if parts[0] is None or mean.ndim != 1 or len(shapes) > 1 or not (variance >= 0).all():
        raise source.error(f"the batch normalisation {stem.strip('.')!r} must have running_mean and running_var >= 0, "
                           "and weight and bias of the same length")  # fmt: skip
    scale = weight / np.sqrt(variance + EPSILON)
    return scale, bias - mean * scale


def _beside(modules: list[str], stem: str) -> tuple[str | None, str | None]:
    """The linear layer that one follows, or else the one it precedes; neither where it cannot be told."""
    at = modules.index(stem)
    before, after = (modules[n] if 0 <= n < len(modules) else None for n in (at - 1, at + 1))
    steps = [_steps(before, stem), _steps(stem, after)]
    if steps[0] == 1:
        return before, None
    return None, after if steps[1] == 1 and (before is None or steps[0] is not None) else None


def _steps(first: str | None, second: str | None) -> int | None:
    """How many places of one Sequential lie between two modules; None where it is not the same one."""
    if first is None or second is None or not (_is_number(first) and _is_number(second)):
        return None
    (outer, _, low), (same, _, high) = first.rpartition("."), second.rpartition(".")
    return int(high) - int(low) if outer == same else None


def _is_number(stem: str) -> bool:
    return stem.rpartition(".")[2].isdecimal()


def _dotted(name: str) -> str:
    return name if "." in name else f".{name}"
