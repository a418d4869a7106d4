"""Modules of torch, traced and made into networks; every expected answer is torch's own."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from matchopt.errors import InvalidInstance
from matchopt.network import from_torch


def ready(module):
    """The module in evaluation, its running statistics as after training."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.2, 2)
            layer.weight.data.normal_()
            layer.bias.data.normal_()
    return module.eval()


class Functional(nn.Module):
    """Written as people write them: functions, sizes asked of the signal, layers declared in another order."""

    def __init__(self):
        super().__init__()
        self.out, self.hidden = nn.Linear(8, 3), nn.Linear(6 * 9, 8)
        self.first, self.norm = nn.Conv2d(1, 4, 3, padding="same", bias=False), nn.BatchNorm2d(4)
        self.second, self.late = nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm1d(8)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.norm(self.first(x))), 2)
        x = torch.relu(self.second(x)).view(x.size(0), -1)
        return functional.log_softmax(self.out(functional.dropout(self.late(self.hidden(x)).relu(), 0.5, False)), 1)


class Spoken(nn.Module):
    """A recurrent network with one of the ways to read it."""

    def __init__(self, read, batch_first=True):
        super().__init__()
        self.cells, self.out, self.read = nn.LSTM(5, 7, batch_first=batch_first), nn.Linear(7, 3), read

    def forward(self, x):
        found, (hidden, _) = self.cells(x)
        return self.read(self.out, found, hidden)


MODULES = {
    "functional": (Functional, (1, 10, 10)),
    "norms around layers": (
        lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3),
                              nn.BatchNorm1d(3)), (6,)),
    "flattened images": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3)), (1, 8, 8)),
    "norm behind a pool": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AvgPool2d(2, 1),
                              nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(75, 4)), (64,)),
    "pool before relu, whole pool": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2, 1, ceil_mode=True), nn.ReLU(), nn.Conv2d(3, 4, 2),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), (1, 8, 8)),
    "last output": (lambda: Spoken(lambda out, found, hidden: out(found[:, -1])), (6, 5)),
    "last output, all": (lambda: Spoken(lambda out, found, hidden: out(found[:, -1, :])), (6, 5)),
    "hidden": (lambda: Spoken(lambda out, found, hidden: out(hidden[-1])), (6, 5)),
    "mean": (lambda: Spoken(lambda out, found, hidden: out(found.mean(1))), (6, 5)),
    "mean of answers": (lambda: Spoken(lambda out, found, hidden: out(found).mean(dim=1)), (6, 5)),
    "every": (lambda: Spoken(lambda out, found, hidden: out(found)), (6, 5)),
}  # fmt: skip


@pytest.mark.parametrize("which", MODULES)
def test_a_module_gives_the_answers_of_its_network(which):
    """The network's logits are those of the module, up to the softmax that a module may end in."""
    torch.manual_seed(1)
    make, shape = MODULES[which]
    module, inputs = ready(make()), torch.randn(7, *shape)
    network = from_torch(module, shape)
    found = torch.tensor(network.logits(inputs.reshape(7, -1).numpy()))
    if which == "functional":
        found = found.log_softmax(1)
        assert network.record.config["names"] == ["first", "second", "hidden", "out"]
    with torch.no_grad():
        np.testing.assert_allclose(found, module(inputs).reshape(found.shape), rtol=2e-5, atol=1e-6)


def linear(*between):
    return nn.Sequential(nn.Linear(4, 4), *between, nn.Linear(4, 2))


def filters(*layers, **options):
    return nn.Sequential(nn.Conv2d(1, 3, 3, **options), *layers, nn.Flatten(), nn.Linear(27, 2))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)) + x)


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (linear(), (), "no ReLU stands between '0' and '1'"),
        (linear(nn.Sigmoid()), (), "node '_1' (1) is a Sigmoid, which has no place"),
        (linear(nn.LeakyReLU()), (), "is a LeakyReLU"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (), "must end in a linear layer without a ReLU, '0'"),
        (nn.Sequential(nn.ReLU(), nn.Linear(4, 3)), (), "the ReLU '0' has no place"),
        (nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(4, 3)), (), "'2' takes 4 inputs, and gets"),
        (nn.Sequential(nn.Identity()), (), "no linear layer"),
        (filters(nn.ReLU(), stride=2), (1, 5, 5), "must have stride 1"),
        (filters(nn.ReLU()), (), "gets a signal of shape unknown"),
        (filters(), (1, 5, 5), "no ReLU stands between '0' and '2'"),
        (filters(nn.AvgPool2d(1), nn.ReLU()), (1, 5, 5), "only the other order"),
        (filters(nn.ReLU(), nn.MaxPool2d(9)), (1, 5, 5), "'2': architecture.convolutions.0: nothing is left"),
        (filters(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()), (1, 5, 5), "whose zeros"),
        (
            nn.Sequential(nn.Conv2d(1, 3, (3, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)),
            (1, 5, 5),
            "filters of 3 x 1",
        ),
        (Residual(), (), "joins or splits paths"),
        (Spoken(lambda out, found, hidden: out(hidden)), (6, 5), "takes hidden of an LSTM's results"),
        (Spoken(lambda out, found, hidden: out(found[:, 0])), (6, 5), "other than all frames, the last, or their mean"),
        (Spoken(lambda out, found, hidden: out(found[:, -1])), (), "needs samples of fixed shape (frames, 5)"),
        (nn.MultiheadAttention(4, 2), (), "cannot be traced by torch.fx"),
    ],
)
def test_what_has_no_place_is_named(module, shape, message):
    """One sentence names the layer and says what to do."""
    with pytest.raises(InvalidInstance) as caught:
        from_torch(ready(module), shape)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
