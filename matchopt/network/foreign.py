"""Networks from elsewhere: PyTorch state dicts, safetensors, NumPy archives, ONNX and NIR."""

import io
import warnings
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from matchopt.errors import MissingExtra
from matchopt.formats.container import is_container
from matchopt.formats.hdf5 import HDF5
from matchopt.formats.numpy_files import ZIP, npz_names, read_npz
from matchopt.formats.sources import Source
from matchopt.formats.tensors import DTYPES
from matchopt.instances.architecture import Architecture
from matchopt.network.assemble import assemble
from matchopt.network.network_file import read_own_network
from matchopt.network.nir_file import read_nir
from matchopt.network.onnx_file import is_onnx, read_onnx
from matchopt.network.sparse_network import MAX_WEIGHTS, SparseNetwork

MAX_BYTES = 2**31  # of a foreign file, unpacked
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save wrote before it made zip files


def read_network(path: str | PathLike[str], architecture: Architecture | None = None) -> SparseNetwork:
    """Read a network: our own file, or what others wrote.

    ONNX files (.onnx) and NIR graphs (HDF5) say what they compute, see `matchopt.network.chain`; others hold weights.

    Recognised are a PyTorch state dict (torch.save), a safetensors file and a NumPy archive (.npz). Names must end in
    `weight` (matrices, units x inputs) and `bias` (vectors) with one common beginning per layer, such as `fc1.weight`;
    the layers follow each other as `matchopt.network.layer_order` says. A checkpoint may hold the state dict under any
    key, if it holds one. A weight of zero is no connection. Files of code (pickles) are never run. What was done to the
    weights on the way is said in the record, `config["notes"]`.

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
    source = Source(Path(path))
    if is_container(source):
        return _of_itself(read_own_network(source), source, architecture)
    if len(source.data) > MAX_BYTES:
        raise source.error(f"at most {MAX_BYTES} bytes are read, found {len(source.data)}")
    if is_onnx(source):
        return _of_itself(read_onnx(source), source, architecture)
    if source.head.startswith(HDF5):
        return _of_itself(read_nir(source), source, architecture)
    arrays, in_order = _arrays(source)
    total = sum(array.size for array in arrays.values())
    if total > MAX_WEIGHTS:
        raise source.error(f"the arrays have {total} entries, at most {MAX_WEIGHTS} are read")
    return assemble(arrays, source, architecture, in_order)


def _of_itself(network: SparseNetwork, source: Source, architecture: Architecture | None) -> SparseNetwork:
    """A network whose file says its architecture."""
    if architecture is not None and architecture != network.architecture:
        raise source.error(f"its architecture is {network.architecture}, another one was named: {architecture}")
    return network


def _arrays(source: Source) -> tuple[dict[str, np.ndarray], bool]:
    """The arrays by name, and whether they are in the order in which they were made."""
    head = source.head
    if head[8:9] == b"{":
        return _safetensors(source), False  # whoever writes these sorts them
    if head.startswith(ZIP):
        names = npz_names(source)
        torch_wrote = any(name.endswith(".pkl") for name in names)
        return _state_dict(source) if torch_wrote else read_npz(source, names), True
    if head.startswith(_OLD_TORCH):
        return _state_dict(source), True
    raise source.error(
        "no network: neither a matchopt network, a safetensors file, a torch state dict nor an .npz file, and neither "
        "ONNX nor NIR" + source.other
    )


def _safetensors(source: Source) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize

    try:
        tensors = sorted(deserialize(source.data))  # checks all sizes; its order is by chance
    except SafetensorError as cause:
        raise source.error(f"no readable safetensors file: {cause}") from None
    return {name: _numbers(tensor, name, source) for name, tensor in tensors}


def _numbers(tensor: dict[str, Any], name: str, source: Source) -> np.ndarray:
    dtype, shape = tensor["dtype"], tensor["shape"]
    if dtype == "BF16":  # the upper half of single precision
        return (np.frombuffer(tensor["data"], "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if dtype not in DTYPES:
        raise source.error(f"tensor {name!r} must be one of BF16, {', '.join(DTYPES)}, found {dtype}")
    return np.frombuffer(tensor["data"], DTYPES[dtype]).reshape(shape)


def _state_dict(source: Source) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError:
        raise MissingExtra(f"reading {source.path}", "torch", "torch") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(source.data), map_location="cpu", weights_only=True)
    except Exception as cause:  # torch raises whatever its unpickler meets
        reason = "".join(letter for letter in str(cause).partition("\n")[0] if letter.isprintable())[:160]
        if isinstance(cause, UnpicklingError) or "TorchScript" in reason:
            reason = "it holds a whole model, or other objects than tensors; save model.state_dict()"
        raise source.error(f"no state dict that can be read without running code: {reason}") from None
    dicts = dict(_state_dicts(found, torch.Tensor))
    if any(".parametrizations." in name for tensors in dicts.values() or [found] for name in map(str, tensors)):
        raise source.error("its weights are computed from others (torch.nn.utils.parametrize); call "
                           "remove_parametrizations on its layers, and save model.state_dict()")  # fmt: skip
    if len(dicts) != 1:
        keys = ", ".join(list(dicts) or map(str, found if isinstance(found, Mapping) else ()))[:200]
        raise source.error(f"a torch file must hold a state dict of tensors, found {len(dicts)} ({keys or 'no keys'}); "
                           "save model.state_dict()")  # fmt: skip
    (tensors,) = dicts.values()
    return {name: _plain(value, name, source) for name, value in tensors.items()}


def _state_dicts(found: Any, tensor: type, path: str = "", depth: int = 3) -> Iterator[tuple[str, dict[str, Any]]]:
    """The state dicts in what a checkpoint holds, by where they are: tables of tensors, weights among them."""
    if not isinstance(found, Mapping) or not depth:
        return
    tensors = {str(name): value for name, value in found.items() if isinstance(value, tensor)}
    if any("weight" in name.rpartition(".")[2] for name in tensors):
        yield path, tensors
    for name, value in found.items():
        yield from _state_dicts(value, tensor, f"{path}.{name}".strip("."), depth - 1)


def _plain(value: Any, name: str, source: Source) -> np.ndarray:
    if str(value.layout) != "torch.strided" or value.device.type != "cpu":
        what = f"layout {value.layout}, device {value.device}"
        raise source.error(f"tensor {name!r} must be an ordinary (strided) one with its numbers, found {what}")
    if not value.is_floating_point() and not name.endswith(("_mask", "num_batches_tracked", "n_averaged")):
        raise source.error(f"tensor {name!r} must hold floating-point numbers, found {value.dtype}")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise source.error(f"tensor {name!r} has fewer numbers than entries (expanded); save it .contiguous()")
    plain = value.detach()
    array: np.ndarray = (plain if plain.dtype.itemsize > 2 or not plain.is_floating_point() else plain.float()).numpy()
    return array
