"""NIR graphs that the package nir wrote, and files that are none; expected answers are torch's."""

from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest
import torch
from torch import nn

from matchopt.errors import FormatError
from matchopt.network import read_network

RNG = np.random.default_rng(4)
RELU = {"activation": "relu"}


def drawn(*shape):
    return RNG.standard_normal(shape)


def neurons(kind=nir.IF, shape=(5,), metadata=RELU):
    one = np.ones(shape)
    if kind is nir.Threshold:
        return nir.Threshold(0 * one, metadata=metadata or {})
    return nir.IF(one, one, v_reset=0 * one, metadata=metadata or {})


def conv(weight, padding=0, groups=1, stride=1):
    return nir.Conv2d((8, 8), weight, stride, padding, 1, groups, drawn(len(weight)))


def write(path, *nodes, shape=(6,), metadata=None, edges=None):
    """A chain of nodes n0, n1 .. between an input and an output."""
    inner = {f"n{n}": node for n, node in enumerate(nodes)}
    found = {"in": nir.Input({"input": np.array(shape)}), **inner, "out": nir.Output({"output": np.array([3])})}
    names = list(found)
    edges = list(pairwise(names)) if edges is None else edges
    nir.write(path, nir.NIRGraph(found, edges, metadata=metadata or {}, type_check=False))
    return found


def dense(node):
    layer = nn.Linear(*node.weight.shape[::-1]).double()
    layer.weight.data, layer.bias.data = torch.tensor(node.weight), torch.tensor(getattr(node, "bias", np.zeros(3)))
    return layer


@pytest.mark.parametrize("how", ["integrate and fire", "threshold", "the graph says it", "nothing between"])
def test_linear_layers(tmp_path, how):
    """What the metadata call a ReLU is one."""
    path, first, last = tmp_path / "net.nir", nir.Affine(drawn(5, 6), drawn(5)), nir.Linear(drawn(3, 5))
    between = [neurons(nir.Threshold if how == "threshold" else nir.IF, metadata=None if "graph" in how else RELU)]
    write(path, first, *([] if how.startswith("no") else between), last,
          metadata=RELU if how in ("the graph says it", "nothing between") else None)  # fmt: skip
    inputs = drawn(9, 6)
    with torch.no_grad():
        expected = nn.Sequential(dense(first), nn.ReLU(), dense(last))(torch.tensor(inputs)).numpy()
    np.testing.assert_allclose(read_network(path).logits(inputs), expected, rtol=1e-5, atol=1e-5)


def test_filters_pools_and_scales(tmp_path):
    """Grouped filters with padding by name, sums over windows, a scale for each channel."""
    path, first, last = tmp_path / "net.nir", conv(drawn(4, 1, 3, 3), "same", 2), nir.Affine(drawn(3, 64), drawn(3))
    scale = np.broadcast_to(drawn(4, 1, 1), (4, 4, 4)).copy()
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    write(path, first, neurons(shape=(4, 8, 8)), pool, nir.Scale(scale), nir.Flatten({"input": np.array([4, 4, 4])}, 0),
          last, shape=(2, 8, 8))  # fmt: skip
    inputs = torch.tensor(drawn(5, 2, 8, 8))
    filters = nn.Conv2d(2, 4, 3, padding="same", groups=2).double()
    filters.weight.data, filters.bias.data = torch.tensor(first.weight), torch.tensor(first.bias)
    with torch.no_grad():
        pooled = 4 * nn.functional.avg_pool2d(filters(inputs).relu(), 2) * torch.tensor(scale)
        expected = dense(last)(pooled.flatten(1)).numpy()
    found = read_network(path).logits(inputs.reshape(5, -1).numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


AFFINE, LAST = nir.Affine(drawn(5, 6), drawn(5)), nir.Linear(drawn(3, 5))
GRAPHS = {
    "spiking": (dict(nodes=(AFFINE, neurons(metadata=None), LAST)), "node 'n1' (IF) is a spiking neuron"),
    "step": (dict(nodes=(AFFINE, neurons(nir.Threshold, metadata=None), LAST)), "node 'n1' (Threshold) is a spiking"),
    "nothing": (dict(nodes=(AFFINE, LAST)), "no ReLU stands between 'n0' and 'n1'"),
    "delay": (dict(nodes=(nir.Delay(np.ones(6)), AFFINE)), "node 'n0' (Delay) has no place"),
    "loop": (dict(nodes=(AFFINE, neurons()), edges=[("in", "n0"), ("n0", "n1"), ("n1", "n0"), ("n1", "out")]), "joins"),
    "apart": (dict(nodes=(AFFINE, LAST), edges=[("in", "n0"), ("n0", "out")]), "nodes n1 are not on one chain"),
    "no edges": (dict(nodes=(AFFINE,), edges=[]), "are not on one chain"),
    "stride": (dict(nodes=(conv(drawn(4, 1, 3, 3), stride=2),), shape=(1, 8, 8)), "must have stride 1"),
    "groups": (dict(nodes=(conv(drawn(4, 1, 3, 3), groups=3),), shape=(3, 8, 8)), "(Conv2d): 3 groups of filters"),
    "shape": (dict(nodes=(nir.Linear(drawn(3, 7)),)), "'n0' takes 7 inputs, and gets"),
    "huge": (dict(nodes=(AFFINE,), shape=(2**31, 2**31)), "samples of shape"),
    "graph in graph": (dict(nodes=(nir.NIRGraph({"a": LAST}, [], type_check=False),)), "(NIRGraph) has no place"),
}  # fmt: skip


@pytest.mark.parametrize("which", GRAPHS)
def test_graphs_that_have_no_place(tmp_path, which):
    """One sentence names the node, its type and what to do."""
    options, message = GRAPHS[which]
    path = tmp_path / "net.nir"
    write(path, *options["nodes"], **{name: value for name, value in options.items() if name != "nodes"})
    with pytest.raises(FormatError) as caught:
        read_network(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def replaced(file, **options):
    del file["node/nodes/n0/weight"]
    file.create_dataset("node/nodes/n0/weight", **options)


def linked(link):
    def change(file):
        del file["node/nodes/n0/weight"]
        file["node/nodes/n0/weight"] = link

    return change


def virtual(file):
    del file["node/nodes/n0/weight"]
    layout = h5py.VirtualLayout((3, 6), "f8")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (3, 6))
    file.create_virtual_dataset("node/nodes/n0/weight", layout)


def deep(file):
    group = file["node/nodes/n0"].create_group("metadata")
    for _ in range(20):
        group = group.create_group("in")


def circular(file):
    file["node/nodes/n0/again"] = file["node"]


def one_text_again_and_again(file):
    """A thousand references to a text of a megabyte, which is in the file once."""
    texts = file["node/nodes/n0"].create_dataset("texts", (1000,), h5py.string_dtype(), chunks=(1000,))
    texts[0] = "x" * 2**20
    file.flush()
    _, references = texts.id.read_direct_chunk((0,))
    texts.id.write_direct_chunk((0,), references[:16] * 1000)


def array_at(place):
    def change(file):
        del file[place]
        file[place] = 1.0

    return change


HOSTILE = {
    "external link": (linked(h5py.ExternalLink("secret.h5", "/x")), "'/node/nodes/n0/weight' is a link"),
    "soft link": (linked(h5py.SoftLink("/node/nodes/n0/bias")), "'/node/nodes/n0/weight' is a link"),
    "external file": (lambda f: replaced(f, shape=(3, 6), dtype="f8", external="secret.bin"), "kept in another file"),
    "virtual": (virtual, "kept in another file"),
    "huge": (lambda f: replaced(f, shape=(2**20, 2**20), dtype="f8", chunks=(8, 8)), "of shape (1048576, 1048576)"),
    "huge chunk": (lambda f: replaced(f, shape=(3, 6), maxshape=(None, None), dtype="f8", chunks=(2**13, 2**14)),
                   "of shape (3, 6) makes"),
    "packed": (lambda f: replaced(f, data=np.ones((3, 6), "i4"), chunks=True, scaleoffset=4), "packed by filter 6"),
    "compound": (lambda f: replaced(f, shape=(3,), dtype=[("a", "f8")]), "must hold numbers or texts"),
    "complex": (lambda f: replaced(f, shape=(3, 6), dtype="c16"), "must hold numbers or texts"),
    "references": (lambda f: replaced(f, shape=(3,), dtype=h5py.ref_dtype), "must hold numbers or texts"),
    "null": (lambda f: replaced(f, data=h5py.Empty("f8")), "is neither a group nor an array"),
    "deep": (deep, "objects, 16 deep, are read"),
    "texts": (one_text_again_and_again, "'/node/nodes/n0/texts' of shape (1000,) makes"),
    "many texts": (lambda f: replaced(f, shape=(2**17,), dtype=h5py.string_dtype(), chunks=(2**17,)),
                   "has 131072 texts; at most 65536 are read"),
    "circular": (circular, "objects, 16 deep, are read"),
    "text for weights": (lambda f: replaced(f, data="rubbish"), "a damaged NIR graph"),
    "vector for weights": (lambda f: replaced(f, data=np.ones(6)), "a damaged NIR graph"),
    "nan": (lambda f: replaced(f, data=np.full((3, 6), np.nan)), "finite"),
    "no weights": (lambda f: f.__delitem__("node/nodes/n0/weight"), "a damaged NIR graph: KeyError 'weight'"),
    "no nodes": (lambda f: f.__delitem__("node/nodes"), "no NIR graph"),
    "no graph": (lambda f: f.__delitem__("node"), "no NIR graph"),
    "nodes an array": (array_at("node/nodes"), "no NIR graph"),
    "node an array": (array_at("node/nodes/n0"), "a damaged NIR graph"),
}  # fmt: skip


@pytest.mark.parametrize("which", HOSTILE)
def test_hostile_files(tmp_path, monkeypatch, which):
    """Neither other files nor more memory than the file fills; one sentence."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as file:
        file["x"] = np.ones((3, 6))
    (tmp_path / "secret.bin").write_bytes(bytes(144))
    write("net.nir", nir.Linear(drawn(3, 6)))
    change, message = HOSTILE[which]
    with h5py.File("net.nir", "a") as file:
        change(file)
    with pytest.raises(FormatError) as caught:
        read_network(tmp_path / "net.nir")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", [8, 100, 0.3, 0.6, 0.95])
def test_files_that_end_too_early(tmp_path, part):
    """A file cut anywhere is damaged."""
    path = tmp_path / "net.nir"
    write(path, AFFINE, neurons(), LAST)
    whole = path.read_bytes()
    path.write_bytes(whole[: part if part > 1 else int(len(whole) * part)])
    with pytest.raises(FormatError, match="net"):
        read_network(path)
