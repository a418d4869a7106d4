"""Networks as people elsewhere save them: pruned, normalised, in checkpoints, in half precision, in any order."""

import gzip
import io
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from matchopt.errors import FormatError
from matchopt.instances.architecture_names import architecture_named
from matchopt.network.foreign import read_network

INPUTS = np.random.default_rng(3).standard_normal((40, 6)).astype(np.float32)


def seeded(*modules):
    """A Sequential of linear layers and what stands between them, in evaluation, its statistics moved."""
    torch.manual_seed(5)
    model = nn.Sequential(*modules)
    for module in modules:
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.1, 3.0)
            if module.affine:
                module.weight.data.normal_()
                module.bias.data.normal_()
    return model.eval()


def gives_the_logits_of(path, model):
    with torch.no_grad():
        expected = model(torch.tensor(INPUTS)).numpy()
    np.testing.assert_allclose(read_network(path).logits(INPUTS), expected, rtol=2e-5, atol=1e-5)


def plain():
    return seeded(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


NORMALISED = {
    "after linear layers": lambda: seeded(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)
    ),
    "after relu": lambda: seeded(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3)),
    "of inputs": lambda: seeded(nn.BatchNorm1d(6), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3, bias=False)),
    "of outputs": lambda: seeded(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.BatchNorm1d(3)),
    "without scale": lambda: seeded(nn.Linear(6, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU(), nn.Linear(5, 3)),
    "with dropout": lambda: seeded(
        nn.Flatten(), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", NORMALISED)
@pytest.mark.parametrize("write", [lambda state, path: torch.save(state, path), save_file])
def test_batch_normalisation_is_multiplied_in(tmp_path, where, write):
    """Wherever the numbers of a Sequential tell where it stands; the logits are the model's, and a note says so."""
    model = NORMALISED[where]()
    write(model.state_dict(), tmp_path / "a")
    gives_the_logits_of(tmp_path / "a", model)
    (note, *_) = read_network(tmp_path / "a").record.config["notes"]
    assert note.startswith("batch normalisation ")
    assert note.endswith("multiplied into it, epsilon 1e-05")


@pytest.mark.parametrize("write", [lambda state, path: torch.save(state, path), save_file])
def test_batch_normalisation_under_names_is_refused(tmp_path, write):
    """fc1, bn1, fc2 are the names of a network with the ReLU before bn1, and of one with the ReLU after it."""
    names = {"0": "fc1", "1": "bn1", "3": "fc2", "4": "bn2", "6": "out"}
    state = NORMALISED["after linear layers"]().state_dict().items()
    write({f"{names[name[0]]}{name[1:]}": value for name, value in state}, tmp_path / "a")
    with pytest.raises(FormatError, match="on which side of the ReLU the batch normalisation 'bn1' stands; multiply"):
        read_network(tmp_path / "a")


@pytest.mark.parametrize(
    "between", [(nn.Dropout(), nn.BatchNorm1d(5), nn.ReLU()), (nn.BatchNorm1d(5), nn.BatchNorm1d(5))]
)
def test_batch_normalisation_that_may_stand_anywhere_is_refused(tmp_path, between):
    """With a module on each side that the file does not show, it may come before the ReLU or after."""
    torch.save(seeded(nn.Linear(6, 5), *between, nn.Linear(5, 3)).state_dict(), tmp_path / "a.pt")
    with pytest.raises(FormatError, match="cannot be told on which side"):
        read_network(tmp_path / "a.pt")


@pytest.mark.parametrize("write", [lambda state, path: torch.save(state, path), save_file])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16, torch.float32])
def test_masks_of_pruning_are_multiplied_in(tmp_path, write, half):
    """Global magnitude pruning, weights and biases, of any type; the network has the connections that are left."""
    model = plain().to(half)
    layers = [(model[0], "weight"), (model[2], "weight"), (model[0], "bias")]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=0.5)
    write(model.state_dict(), tmp_path / "a")
    found = read_network(tmp_path / "a")
    assert found.n_connections == int(sum((module.weight != 0).sum() for module in (model[0], model[2])))
    assert found.n_connections < 45
    gives_the_logits_of(tmp_path / "a", model.float())


def test_a_mask_without_its_weights_is_refused(tmp_path):
    """Or one of another shape; the sentence says what to do."""
    np.savez(tmp_path / "a.npz", **{"weight_orig": np.ones((2, 3)), "weight_mask": np.ones((3, 2))})
    with pytest.raises(
        FormatError, match=r"'weight_orig' needs a mask of its shape, weight_mask; or use prune\.remove"
    ):
        read_network(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"epoch": 3, "model_state_dict": state, "loss": 0.5},
        lambda state: {"net": {"params": state}, "args": {"lr": 0.1}},
        lambda state: {"model": OrderedDict((f"module.{name}", value) for name, value in state.items())},
        lambda state: {**state, "epoch": 3},
        lambda state: {"step": torch.tensor(3), "student": state, "best": torch.tensor(0.5)},
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_the_only_state_dict_of_a_checkpoint_is_found(tmp_path, wrapped, new):
    """Under any key, beside the state of an optimiser; in torch's older files, too."""
    model = plain()
    adam = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 6)).sum().backward()
    adam.step()
    whole = {**wrapped(model.state_dict()), "optimizer": adam.state_dict()}
    torch.save(whole, tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    gives_the_logits_of(tmp_path / "a.pt", model)


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "module._orig_mod.", "model.net."])
def test_what_wrappers_put_before_names_does_not_matter(tmp_path, before):
    """DataParallel, torch.compile and averaging change names only; the layers' names are without theirs."""
    state = {f"{before}{name}": value for name, value in plain().state_dict().items()}
    torch.save({**state, "n_averaged": torch.tensor(3)}, tmp_path / "a.pt")
    found = read_network(tmp_path / "a.pt")
    kept = before if before == "model.net." else ""
    assert found.record.config["names"] == [f"{kept}0", f"{kept}2"]
    gives_the_logits_of(tmp_path / "a.pt", plain())


@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_behind_a_convolution_is_multiplied_in(tmp_path, affine):
    """With a scale and a shift of its own it becomes a part of the filters; without, its statistics stay."""
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3, affine=affine), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(48, 4)).eval()  # fmt: skip
    for value in [model[1].running_mean, *(parameter.data for parameter in model[1].parameters())]:
        value.normal_()
    torch.save(model.state_dict(), tmp_path / "a.pt")
    network = read_network(tmp_path / "a.pt", architecture_named("cnn:1x8x8-3c3p1b-m2-4"))
    assert (not network.buffers) == affine
    inputs = torch.randn(5, 64)
    with torch.no_grad():
        expected = model(inputs.view(5, 1, 8, 8)).numpy()
    np.testing.assert_allclose(network.logits(inputs.numpy()), expected, rtol=2e-5, atol=1e-6)


def test_weights_computed_from_others_are_refused(tmp_path):
    """Weight norm and its like keep no weights; the sentence says how to get them."""
    torch.save(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))).state_dict(), tmp_path / "a.pt")
    with pytest.raises(FormatError, match="remove_parametrizations"):
        read_network(tmp_path / "a.pt")


def test_two_state_dicts_are_named(tmp_path):
    """A network and its running mean are two; which is meant nobody can say."""
    state = plain().state_dict()
    torch.save({"model": state, "ema": {"shadow": state}}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"found 2 \(model, ema\.shadow\)"):
        read_network(tmp_path / "a.pt")
    torch.save({"epoch": 3, "history": [1.0]}, tmp_path / "b.pt")
    with pytest.raises(FormatError, match=r"found 0 \(epoch, history\); save model\.state_dict"):
        read_network(tmp_path / "b.pt")


@pytest.mark.parametrize("new", [True, False])
def test_a_whole_model_is_refused_in_plain_words(tmp_path, new):
    """One line, no control characters, and what to save instead."""
    torch.save(plain(), tmp_path / "a.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(FormatError, match=r"it holds a whole model, .*; save model\.state_dict\(\)$") as caught:
        read_network(tmp_path / "a.pt")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a.pt", "a.npz", "a.safetensors"])
def test_files_compressed_with_gzip_are_read(tmp_path, name):
    """As every other file is."""
    model, content = plain(), io.BytesIO()
    arrays = {key: value.numpy() for key, value in model.state_dict().items()}
    if name.endswith("pt"):
        torch.save(model.state_dict(), content)
    elif name.endswith("npz"):
        np.savez(content, **arrays)
    else:
        save_file(model.state_dict(), tmp_path / "plain")
        content.write((tmp_path / "plain").read_bytes())
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.getvalue()))
    gives_the_logits_of(tmp_path / f"{name}.gz", model)


def square(*names, seed=0):
    rng = np.random.default_rng(seed)
    return {f"{name}.weight": rng.standard_normal((4, 4)).astype(np.float32) for name in names}


def first_weights(path):
    return [layer.weights[0, 0] for layer in read_network(path).layers]


@pytest.mark.parametrize(
    "names", [("input", "hidden", "output"), ("encoder", "body", "head"), ("b", "a", "c.0", "c.1")]
)
@pytest.mark.parametrize("write", ["pt", "npz"])
def test_layers_are_in_the_order_of_the_file(tmp_path, names, write):
    """Square layers, of which shapes say nothing: never sorted by name."""
    arrays = square(*names)
    if write == "pt":
        torch.save({name: torch.tensor(array) for name, array in arrays.items()}, tmp_path / "a")
    else:
        with (tmp_path / "a").open("wb") as file:
            np.savez(file, **arrays)
    assert first_weights(tmp_path / "a") == [array[0, 0] for array in arrays.values()]


def test_numbers_against_the_order_of_the_file_are_refused(tmp_path):
    """fc1, fc10, fc2, as sorting leaves them, fits as well as fc1, fc2, fc10; so does any order without numbers."""
    np.savez(tmp_path / "a.npz", **square("fc1", "fc10", "fc2"))
    with pytest.raises(FormatError, match=r"not certain: fc1, fc10, fc2 fits, and fc1, fc2, fc10 does, too"):
        read_network(tmp_path / "a.npz")
    save_file({name: torch.tensor(array) for name, array in square("body", "head").items()}, tmp_path / "b")
    with pytest.raises(FormatError, match="the file does not keep it; save the layers in order, or number their names"):
        read_network(tmp_path / "b")


def test_shapes_alone_decide_where_they_leave_one_order(tmp_path):
    """A safetensors file is sorted by name; biases show which side of a matrix is which."""
    model = plain()
    state = {f"{'zy'[int(name[0]) // 2]}{name[1:]}": value for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors")
    gives_the_logits_of(tmp_path / "a.safetensors", model)
    save_file({name: value for name, value in state.items() if "bias" not in name}, tmp_path / "b.safetensors")
    with pytest.raises(FormatError, match="not certain: the file does not keep it"):
        read_network(tmp_path / "b.safetensors")


def test_numbers_show_the_direction_where_there_are_no_biases(tmp_path):
    """fc1 and fc2 of a safetensors file, beside a name without a number: one order fits that has fc1 first."""
    shapes = {"fc1": (5, 6), "fc2": (4, 5), "an_output": (3, 4)}
    save_file({f"{name}.weight": torch.ones(shape) for name, shape in shapes.items()}, tmp_path / "a.safetensors")
    assert read_network(tmp_path / "a.safetensors").widths == (6, 5, 4, 3)
    transposed = {f"{name}.weight": torch.ones(shape[::-1]) for name, shape in shapes.items()}
    save_file(transposed, tmp_path / "b.safetensors")
    with pytest.raises(FormatError, match="do not follow each other"):
        read_network(tmp_path / "b.safetensors")


def test_a_layer_under_two_names_is_taken_once(tmp_path):
    """A module that is an attribute and in a list, too; where it may be run twice, it is refused."""
    state = plain().state_dict()
    again = {f"layers.{n}.{what}": state[f"{at}.{what}"] for n, at in enumerate((0, 2)) for what in ("weight", "bias")}
    torch.save(state | again, tmp_path / "a.pt")
    gives_the_logits_of(tmp_path / "a.pt", plain())
    arrays = square("a", "b")
    np.savez(tmp_path / "b.npz", **arrays | {"c.weight": arrays["a.weight"]})
    with pytest.raises(FormatError, match="c and a have the same weights"):
        read_network(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": (6, 5), "arr_1": (5,)}, "'arr_0' is neither .* names must be like fc1.weight and fc1.bias$"),
        ({"dense/kernel:0": (6, 5)}, "names must be like fc1.weight"),
        ({"dense.weight": (6, 5), "dense_1.weight": (5, 3)}, r"must be \(units, inputs\), these would fit transposed"),
        ({"a.weight": (6, 5), "a.bias": (5,)}, "these would fit transposed"),
        ({"norm.weight": (6,), "a.weight": (5, 6)}, "'norm.weight' must be a matrix of numbers, found .*[^e]$"),
    ],
)
def test_what_is_missing_is_said(tmp_path, arrays, message):
    """Names, transposed matrices; never the advice to name an architecture where none would help."""
    np.savez(tmp_path / "a.npz", **{name: np.ones(shape) for name, shape in arrays.items()})
    with pytest.raises(FormatError, match=message) as caught:
        read_network(tmp_path / "a.npz")
    assert "architecture" not in str(caught.value)


def test_missing_biases_are_noted(tmp_path):
    """Zeros are taken, which may be a mistake."""
    np.savez(tmp_path / "a.npz", **{"a.weight": np.ones((5, 6)), "a.bias": np.ones(5), "b.weight": np.ones((3, 5))})
    assert read_network(tmp_path / "a.npz").record.config["notes"] == ["without a bias, zeros are taken: b"]


@pytest.mark.parametrize("tensor", [torch.zeros(1).expand(2**13, 2**14), torch.zeros(3, 2, device="meta")])
def test_tensors_without_their_numbers_are_refused(tmp_path, tensor):
    """A kilobyte cannot ask for gigabytes."""
    torch.save({"weight": tensor}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"'weight' (must be an ordinary|has fewer numbers than entries)"):
        read_network(tmp_path / "a.pt")


def test_types_that_are_not_read_are_named(tmp_path):
    """Eight-bit floats in safetensors: the sentence lists what is read."""
    save_file({"weight": torch.ones(2, 2).to(torch.float8_e5m2)}, tmp_path / "a.safetensors")
    with pytest.raises(FormatError, match=r"'weight' must be one of BF16, F64, .* found F8_E5M2"):
        read_network(tmp_path / "a.safetensors")
