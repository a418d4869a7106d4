"""Networks from elsewhere: PyTorch state dicts, safetensors and NumPy archives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.errors import MissingExtra
from matchopt.formats.container import is_container
from matchopt.formats.numpy_files import npz_names, read_npz
from matchopt.formats.sources import Source
from matchopt.instances.architecture import Architecture
from matchopt.network.assemble import assemble
from matchopt.network.network_file import read_own_network
from matchopt.network.sparse_network import SparseNetwork

MAX_BYTES = 2**31  # of a foreign file, unpacked


def read_network(path: Path, architecture: Architecture | None = None) -> SparseNetwork:
    """Read a network: our own file, or weights and biases written by others.

    Recognised are a PyTorch state dict (torch.save), a safetensors file and a NumPy archive (.npz). Names must end in
    `weight` (matrices, units x inputs) and `bias` (vectors) with one common beginning per layer, such as `fc1.weight`;
    layers follow each other in natural order of the names where that fits, else in the file's own order. A weight of
    zero is no connection. Files of code (pickles) are never run.

    Parameters
    ----------
    path : the file.
    architecture : what others' weights are the weights of, see `matchopt.network.assemble`; None for linear layers
        with ReLU between them. Our own files know theirs; another one is refused.

    Raises
    ------
    FormatError
        naming the file and what is wrong with it.
    MissingExtra
        when a PyTorch file is read without torch.
    """
    source = Source(path)
    head = source.head
    if is_container(source):
        network = read_own_network(source)
        if architecture is not None and architecture != network.architecture:
            raise source.error(f"its architecture is {network.architecture}, another one was named: {architecture}")
        return network
    if path.stat().st_size > MAX_BYTES:
        raise source.error(f"at most {MAX_BYTES} bytes are read, found {path.stat().st_size}")
    if head[8:9] == b"{":
        return assemble(_safetensors(source), source, architecture)
    if head[:4] == b"PK\x03\x04":
        return assemble(_archive(source), source, architecture)
    raise source.error(
        "no network: neither a matchopt network, a safetensors file, a torch state dict nor an .npz file"
    )


def _safetensors(source: Source) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(source.path), framework="numpy") as file:  # checks all sizes before it maps a tensor
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    except (SafetensorError, TypeError, AttributeError) as cause:
        raise source.error(f"no readable safetensors file: {cause}") from None


def _archive(source: Source) -> dict[str, np.ndarray]:
    """A zip file: of .npy members, or what torch.save writes."""
    names = npz_names(source)
    return _state_dict(source) if any(name.endswith("data.pkl") for name in names) else read_npz(source, names)


def _state_dict(source: Source) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise MissingExtra(f"reading {source.path}", "torch", "torch") from None
    try:
        found = torch.load(source.path, map_location="cpu", weights_only=True)
    except Exception as cause:  # torch raises whatever its unpickler meets
        reason = str(cause).strip().splitlines()[0][:160] if str(cause).strip() else type(cause).__name__
        raise source.error(f"no state dict that can be read without running code: {reason}") from None
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise source.error("a torch file must hold a state dict of tensors; save model.state_dict()")
    counters = "num_batches_tracked"  # of batch normalisation: whole numbers that no inference needs
    tensors = {str(name): value for name, value in found.items() if not str(name).endswith(counters)}
    return {name: _plain(value, name, source) for name, value in tensors.items()}


def _plain(value: Any, name: str, source: Source) -> np.ndarray:
    if str(value.layout) != "torch.strided":
        raise source.error(f"tensor {name!r} must be an ordinary (strided) one, found layout {value.layout}")
    if not value.is_floating_point():
        raise source.error(f"tensor {name!r} must hold floating-point numbers, found {value.dtype}")
    array: np.ndarray = value.detach().double().numpy()
    return array
