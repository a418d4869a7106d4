"""Networks for the tool chains of others, by the ending of the file."""

from collections.abc import Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from matchopt.errors import MissingExtra, Refused
from matchopt.formats.atomic import write_bytes
from matchopt.network.nir_file import write_nir
from matchopt.network.onnx_writing import write_onnx
from matchopt.network.running import Runnable
from matchopt.network.steps import state_of

ENDINGS = {".onnx": "onnx", ".nir": "nir", ".safetensors": "safetensors", ".pt": "torch", ".pth": "torch"}  # by what


def write_elsewhere(path: str | PathLike[str], network: Runnable, names: Sequence[str] = ()) -> None:
    """Write a network, trained or realised, in single precision: .onnx, .nir, or a state dict in .safetensors or .pt.

    Batch normalisation is multiplied into filters, so that the weights are all there is.

    Parameters
    ----------
    path : the file; one that exists is replaced.
    network : what is written.
    names : of its layers, such as those that `read_network` notes in the record; without them layers have the names of
        `torch.nn.Sequential`.

    Raises
    ------
    Refused
        when the ending is none of these, or NIR cannot express the network.
    MissingExtra
        when the package that writes it is not installed.
    OSError
        when the file cannot be written.
    """
    target = Path(path)
    check_ending(target)
    ending = target.suffix.lower()
    if ending == ".onnx":
        write_onnx(target, network, names)
    elif ending == ".nir":
        write_nir(target, network, names)
    elif ending == ".safetensors":
        from safetensors.numpy import save

        write_bytes(target, save(state_of(network, names)))
    else:
        from matchopt.network.torch_module import write_torch

        write_torch(target, state_of(network, names))


def check_ending(path: Path) -> None:
    """Raise Refused for an ending that no network file has, and MissingExtra where what writes it is not installed."""
    package = ENDINGS.get(path.suffix.lower())
    if package is None:
        raise Refused(f"{path}: the ending names no format for networks; end it in {', '.join(ENDINGS)}")
    if find_spec(package) is None:
        raise MissingExtra(f"writing {path}", package, package)
