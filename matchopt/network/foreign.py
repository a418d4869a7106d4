"""Networks from elsewhere: PyTorch state dicts, safetensors and NumPy archives."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.errors import MissingExtra
from matchopt.formats.container import is_container
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
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as cause:
        raise source.error(f"damaged archive: {cause}") from None
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_BYTES:
        raise source.error(f"at most {MAX_BYTES} bytes are unpacked, found {unpacked}")
    if any(member.filename.endswith("data.pkl") for member in members):
        return _state_dict(source)
    if not members or not all(member.filename.endswith(".npy") for member in members):
        raise source.error("an archive must hold .npy arrays or a torch state dict, found neither")
    arrays = {}
    with zipfile.ZipFile(source.path) as archive:
        for member in members:
            with archive.open(member) as file:
                try:
                    _check_npy(np.lib.format.read_magic(file), file, member.file_size)
                except ValueError as cause:
                    raise source.error(f"array {member.filename!r}: {cause}") from None
            try:
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
            except (ValueError, zipfile.BadZipFile, EOFError) as cause:
                raise source.error(f"array {member.filename!r}: {cause}") from None
    return arrays


def _check_npy(version: tuple[int, int], file: Any, size: int) -> None:
    """Raise ValueError unless the header of an .npy member announces no more than its bytes hold."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format is not read")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never read")
    elements = 1
    for side in shape:
        elements *= int(side)
    if elements * dtype.itemsize > size:
        raise ValueError(f"shape {shape} takes {elements * dtype.itemsize} bytes, the file holds {size}")


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
