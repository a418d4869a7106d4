"""Every architecture as a function of its weights: differentiable torch, on any device."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from matchopt.instances.architecture import Architecture, Convolution, Convolutional, FullyConnected, Recurrent
from matchopt.instances.convolution import ALPHA, BATCH_EPSILON, BETA, REACH

BATCH_MOMENTUM = 0.1  # share of the newest batch in the running statistics
CHUNK = 2**24  # numbers of activity at a time where memory is to stay bounded: 64 MiB in single precision

Buffers = MutableMapping[str, Tensor]
Listener = Callable[[int, Callable[[], Tensor]], None]


def fresh_buffers(architecture: Architecture, device: str = "cpu") -> dict[str, Tensor]:
    """Running statistics before any training: mean 0 and variance 1."""
    return {
        name: torch.full(shape, float(name.startswith("variance")), device=device)
        for name, shape in architecture.buffers.items()
    }


def logits(
    architecture: Architecture,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    inputs: Float[Tensor, "samples inputs"],
    training: bool = False,
    generator: torch.Generator | None = None,
    buffers: Buffers | None = None,
    listen: Listener | None = None,
) -> Float[Tensor, "samples *frames classes"]:
    """The values before the softmax, differentiable in weights and biases.

    One row per sample; for a recurrent network that answers after every frame, one row per sample and frame.

    Parameters
    ----------
    architecture : which network it is.
    weights : one matrix per layer, of the shapes in `architecture.matrices`.
    biases : one vector per layer.
    inputs : flattened samples, of the dtype and on the device of the weights.
    training : whether inputs are dropped at random and batch statistics used.
    generator : draws what is dropped; torch's own if None.
    buffers : running statistics by name, see `fresh_buffers`; training changes them in place.
    listen : told each matrix's number, and what gives the rows that it receives.

    Raises
    ------
    ValueError
        when shapes do not fit, or running statistics are needed and not given.
    """
    shapes = tuple(tuple(matrix.shape) for matrix in weights)
    if shapes != architecture.matrices or len(biases) != len(shapes) or inputs.shape[1] != architecture.n_inputs:
        raise ValueError(
            f"need matrices of shapes {architecture.matrices}, as many biases and {architecture.n_inputs} inputs, "
            f"found {shapes}, {len(biases)} biases and {inputs.shape[1]} inputs"
        )
    if isinstance(architecture, FullyConnected):
        return _chain(weights, biases, inputs, 0, 0.0, generator, listen)
    if isinstance(architecture, Recurrent):
        return _recurrent(architecture, weights, biases, inputs, listen)
    assert isinstance(architecture, Convolutional)
    if set(architecture.buffers) - set(buffers or {}):
        raise ValueError("batch normalisation needs its running statistics: pass buffers, see fresh_buffers")
    # Channels last: convolutions on CPUs are up to a third faster.
    hidden = inputs.view(-1, *architecture.image).contiguous(memory_format=torch.channels_last)
    first = len(architecture.convolutions)
    for n, stage in enumerate(architecture.convolutions):
        if listen is not None:
            listen(n, _patches(hidden, stage))
        kernel = weights[n].view(stage.filters, -1, stage.size, stage.size)
        hidden = functional.conv2d(hidden, kernel, biases[n], padding=stage.padding)
        hidden = _after(stage, n, hidden, training, buffers or {})
    dropout = architecture.dropout if training else 0.0
    return _chain(weights[first:], biases[first:], hidden.flatten(1), first, dropout, generator, listen)


def layer_inputs(
    architecture: Architecture,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    inputs: Float[Tensor, "samples inputs"],
    most: int | None = None,
    buffers: Buffers | None = None,
) -> tuple[Float[Tensor, "_ _"], ...]:
    """What every matrix receives when the network runs on `inputs`, one row per sample and position.

    A filter receives image patches (zeros of the padding included), the gates [x_t, h_(t-1)] of every frame, the
    output layer of a recurrent network h_t of the frames it reads.

    Parameters
    ----------
    architecture, weights, biases, inputs, buffers : as in `logits`.
    most : most rows returned per matrix; of more so many are drawn without replacement, always the same.
    """
    chosen = torch.Generator().manual_seed(0)
    parts: list[list[Tensor]] = [[] for _ in architecture.matrices]
    samples = len(inputs)

    def listen(number: int, rows: Callable[[], Tensor]) -> None:
        parts[number].append(rows())

    step = max(1, CHUNK // _widest(architecture))
    with torch.no_grad():
        for start in range(0, samples, step):
            chunk = inputs[start : start + step]
            logits(architecture, weights, biases, chunk, buffers=buffers, listen=listen)
            if most is not None:  # keep this chunk's share only, so that memory stays bounded
                share = -(-most * len(chunk) // samples)
                for found in parts:
                    found[-1] = _some(found[-1], share, chosen)
    received = [torch.cat(found) for found in parts]
    return tuple(rows if most is None else _some(rows, most, chosen) for rows in received)


def predict(
    architecture: Architecture,
    weights: Sequence[Float[np.ndarray, "_ _"]],
    biases: Sequence[Float[np.ndarray, " _"]],
    inputs: Float[np.ndarray, "samples inputs"],
    buffers: Mapping[str, np.ndarray] | None = None,
) -> Float[np.ndarray, "samples *frames classes"]:
    """What `logits` gives, NumPy in and out, in the precision of the weights and in bounded memory."""
    matrices, vectors, state = as_tensors(weights, biases, buffers)
    return in_chunks(architecture, matrices, vectors, inputs, state)


def in_chunks(
    architecture: Architecture,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    inputs: Float[np.ndarray, "samples inputs"],
    buffers: Buffers | None = None,
) -> Float[np.ndarray, "samples *frames classes"]:
    """`logits` of NumPy inputs, on the device of the weights and in bounded memory."""
    parts, step = [], max(1, CHUNK // architecture.activity)
    with torch.no_grad():
        for start in range(0, max(1, len(inputs)), step):
            chunk = torch.tensor(inputs[start : start + step], dtype=weights[0].dtype, device=weights[0].device)
            parts.append(logits(architecture, weights, biases, chunk, buffers=buffers).cpu())
    return torch.cat(parts).numpy()


def as_tensors(
    weights: Sequence[Float[np.ndarray, "_ _"]],
    biases: Sequence[Float[np.ndarray, " _"]],
    buffers: Mapping[str, np.ndarray] | None = None,
) -> tuple[list[Tensor], list[Tensor], dict[str, Tensor]]:
    """Copies of NumPy parameters as tensors, all of the type of the first matrix."""
    dtype = torch.from_numpy(np.zeros(0, weights[0].dtype)).dtype

    def tensor(array: np.ndarray) -> Tensor:
        return torch.tensor(array, dtype=dtype)

    state = {name: tensor(array) for name, array in (buffers or {}).items()}
    return [tensor(matrix) for matrix in weights], [tensor(vector) for vector in biases], state


def _chain(
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    hidden: Tensor,
    first: int,
    dropout: float,
    generator: torch.Generator | None,
    listen: Listener | None,
) -> Tensor:
    """Fully connected layers, ReLU between them; `dropout` at the inputs of all but the last."""
    for n, (matrix, bias) in enumerate(zip(weights, biases, strict=True)):
        if n:
            hidden = functional.relu(hidden)
        if dropout and n < len(weights) - 1:
            kept = torch.rand(hidden.shape, generator=generator, device=hidden.device, dtype=hidden.dtype) >= dropout
            hidden = hidden * kept / (1.0 - dropout)
        if listen is not None:
            listen(first + n, lambda rows=hidden: rows)  # type: ignore[misc]  # bound now, not at the loop's end
        hidden = functional.linear(hidden, matrix, bias)
    return hidden


def _after(stage: Convolution, number: int, hidden: Tensor, training: bool, buffers: Buffers) -> Tensor:
    """Normalisation, ReLU and pooling."""
    if stage.normalise == "batch":
        mean, variance = buffers[f"mean.{number}"], buffers[f"variance.{number}"]
        hidden = functional.batch_norm(
            hidden, mean, variance, training=training, momentum=BATCH_MOMENTUM, eps=BATCH_EPSILON
        )
    hidden = functional.relu(hidden)
    if stage.normalise == "response":
        hidden = _response(hidden)
    if stage.pool:
        pool = functional.avg_pool2d if stage.average else functional.max_pool2d
        hidden = pool(hidden, stage.pool, stage.pool_stride or stage.pool, ceil_mode=stage.overhang)
    if stage.normalise == "pooled-response":
        hidden = _response(hidden)
    return hidden


def _response(images: Tensor) -> Tensor:
    """Divide every value by a norm of its neighbours in channels.

    The sums over neighbouring channels are a product with a matrix of zeros and ones, which is three times faster than
    torch's own local response normalisation.
    """
    channels = torch.arange(images.shape[1], device=images.device)
    near = ((channels[:, None] - channels).abs() <= REACH).to(images.dtype)
    sums = functional.conv2d(images.square(), near[:, :, None, None])
    return images * (1.0 + ALPHA * sums) ** -BETA


def _patches(images: Tensor, stage: Convolution) -> Callable[[], Tensor]:
    def rows() -> Tensor:
        found = functional.unfold(images, stage.size, padding=stage.padding)
        return found.transpose(1, 2).reshape(-1, found.shape[1])

    return rows


def _recurrent(
    net: Recurrent, weights: Sequence[Tensor], biases: Sequence[Tensor], inputs: Tensor, listen: Listener | None
) -> Tensor:
    frames = inputs.view(-1, net.frames, net.n_features)
    own, back = weights[0][:, : net.n_features], weights[0][:, net.n_features :]
    driven = functional.linear(frames, own, biases[0]).unbind(1)  # of all frames at once: one large product
    hidden = inputs.new_zeros(len(inputs), net.hidden)
    cell, outputs = hidden, [hidden]
    turned = back.t()
    for drive in driven:
        gates = torch.addmm(drive, hidden, turned)
        enter, forget, candidate, leave = gates.chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        outputs.append(hidden)
    read = hidden[:, None] if net.readout == "last" else torch.stack(outputs[1:], 1)
    if listen is not None:
        listen(0, lambda: torch.cat([frames, torch.stack(outputs[:-1], 1)], 2).flatten(0, 1))
        listen(1, lambda: read.flatten(0, 1))
    if net.readout != "every":
        read = read.mean(1)  # the mean of outputs is the output of the mean
    return functional.linear(read, weights[1], biases[1])


def _widest(architecture: Architecture) -> int:
    """Most numbers per sample that `layer_inputs` makes at once."""
    if not isinstance(architecture, Convolutional):
        return architecture.activity
    cols = [cols for _, cols in architecture.matrices]
    stages = zip(architecture.stages(), cols, strict=False)
    return max(architecture.activity, sum(height * width * n for ((_, height, width), _), n in stages))


def _some(rows: Tensor, most: int, generator: torch.Generator) -> Tensor:
    if len(rows) <= most:
        return rows
    chosen = torch.randperm(len(rows), generator=generator)[:most].sort().values
    return rows[chosen.to(rows.device)].clone()
