import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_forward import CASES, STATISTICS, parameters, plain_logits
from torch import nn

from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected, Recurrent
from matchopt.network import forward


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_plain_loops(name):
    """Every architecture against loops that share nothing with torch."""
    architecture = CASES[name]
    weights, biases = parameters(architecture)
    inputs = np.random.default_rng(1).standard_normal((3, architecture.n_inputs))
    found = forward.predict(architecture, weights, biases, inputs, STATISTICS if architecture.buffers else None)
    expected = [plain_logits(architecture, weights, biases, sample, STATISTICS) for sample in inputs]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
def test_gates_are_those_of_torch(features, frames, hidden, seed):
    """The same outputs and gradients as nn.LSTM with its two matrices side by side."""
    architecture = Recurrent(features, frames, hidden, 2, "every")
    torch.manual_seed(seed)
    module = nn.LSTM(features, hidden, batch_first=True)
    own = dict(module.named_parameters())
    gates = torch.cat([own["weight_ih_l0"], own["weight_hh_l0"]], 1).detach().requires_grad_()
    bias = (own["bias_ih_l0"] + own["bias_hh_l0"]).detach()
    output, start = torch.randn(2, hidden), torch.randn(2)
    inputs = torch.randn(3, frames, features)
    found = forward.logits(architecture, [gates, output], [bias, start], inputs.flatten(1))
    expected = module(inputs)[0] @ output.T + start
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    together = torch.cat([own["weight_ih_l0"].grad, own["weight_hh_l0"].grad], 1)
    torch.testing.assert_close(gates.grad, together, rtol=1e-3, atol=1e-5)


def test_training_normalises_by_the_batch_as_torch_does():
    """Convolution, batch statistics and running statistics as nn.Conv2d and nn.BatchNorm2d."""
    architecture = Convolutional((2, 6, 6), (Convolution(3, 3, 1, 2, normalise="batch"),), (), 4)
    torch.manual_seed(0)
    convolution, normal, last = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3, affine=False), nn.Linear(27, 4)
    module = nn.Sequential(convolution, normal, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), last)
    weights = [convolution.weight.detach().flatten(1), last.weight.detach()]
    biases = [convolution.bias.detach(), last.bias.detach()]
    buffers = forward.fresh_buffers(architecture)
    for _ in range(3):
        inputs = torch.randn(5, 2, 6, 6)
        found = forward.logits(architecture, weights, biases, inputs.flatten(1), training=True, buffers=buffers)
        torch.testing.assert_close(found, module(inputs))
    torch.testing.assert_close(buffers["mean.0"], normal.running_mean)
    torch.testing.assert_close(buffers["variance.0"], normal.running_var)
    found = forward.logits(architecture, weights, biases, inputs.flatten(1), buffers=buffers)
    torch.testing.assert_close(found, module.eval()(inputs))


def test_response_normalisation_is_torch_s():
    """The same values and gradients as torch's slower function, whose alpha is divided by the nine channels."""
    images = torch.randn(2, 20, 3, 4, dtype=torch.float64, requires_grad=True)
    own = forward._response(10 * images)
    theirs = torch.nn.functional.local_response_norm(10 * images, 9, alpha=0.001, beta=0.75, k=1.0)
    torch.testing.assert_close(own, theirs)
    slopes = [torch.autograd.grad(found.square().sum(), images)[0] for found in (own, theirs)]
    torch.testing.assert_close(*slopes)


def test_dropout_leaves_out_a_share_and_keeps_the_mean():
    """In training only; inputs of the last layer stay."""
    architecture = Convolutional((1, 1, 1), (Convolution(4000, 1),), (4000,), 2, dropout=0.25)
    weights = [torch.ones(4000, 1), torch.eye(4000), torch.ones(2, 4000)]
    biases = [torch.zeros(4000), torch.zeros(4000), torch.zeros(2)]
    one = torch.ones(1, 1)
    assert forward.logits(architecture, weights, biases, one).tolist() == [[4000.0, 4000.0]]
    found = forward.logits(architecture, weights, biases, one, True, torch.Generator().manual_seed(0))
    kept = found[0, 0].item() * 0.75
    assert kept == pytest.approx(round(kept), abs=0.01)
    assert 2890 < kept < 3110  # 3000 expected, standard deviation 27


@pytest.mark.parametrize("name", CASES)
def test_layer_inputs_times_weights_are_the_pre_activations(name):
    """What the last matrix receives gives the logits; the first receives patches of the sample itself."""
    architecture = CASES[name]
    weights, biases, buffers = forward.as_tensors(*parameters(architecture), STATISTICS)
    inputs = torch.randn(4, architecture.n_inputs, dtype=torch.float64)
    received = forward.layer_inputs(architecture, weights, biases, inputs, buffers=buffers)
    assert [rows.shape[1] for rows in received] == [cols for _, cols in architecture.matrices]
    answers = received[-1] @ weights[-1].T + biases[-1]
    expected = forward.logits(architecture, weights, biases, inputs, buffers=buffers)
    if name == "mean":
        answers = answers.view(4, architecture.frames, -1).mean(1)
    torch.testing.assert_close(answers.view_as(expected), expected)
    if isinstance(architecture, Convolutional):
        stage, ((filters, height, width), _) = architecture.convolutions[0], architecture.stages()[0]
        outputs = (received[0] @ weights[0].T + biases[0]).view(4, height * width, filters).transpose(1, 2)
        kernel = weights[0].view(filters, -1, stage.size, stage.size)
        images = inputs.view(-1, *architecture.image)
        full = torch.nn.functional.conv2d(images, kernel, biases[0], padding=stage.padding)
        torch.testing.assert_close(outputs.reshape(full.shape), full)
    few = forward.layer_inputs(architecture, weights, biases, inputs, most=3, buffers=buffers)
    for rows, all_rows in zip(few, received, strict=True):
        assert len(rows) == min(3, len(all_rows))
        assert all((all_rows == row).all(1).any() for row in rows)


def test_sub_sampling_is_fair_over_chunks(monkeypatch):
    """With chunks of few samples the drawn rows still come evenly from all of them."""
    monkeypatch.setattr(forward, "CHUNK", 200)
    architecture = FullyConnected((2, 2))
    inputs = torch.arange(2000.0).view(1000, 2)
    (rows,) = forward.layer_inputs(architecture, [torch.eye(2)], [torch.zeros(2)], inputs, most=300)
    assert len(rows) == 300 == len(torch.unique(rows[:, 0]))
    counts = torch.histc(rows[:, 0], 4, 0, 2000)
    assert counts.min() > 60 and counts.max() < 90


def test_chunks_do_not_change_predictions(monkeypatch):
    """Memory is bounded by running few samples at a time; the answers stay."""
    architecture = CASES["overlapping"]
    weights, biases = parameters(architecture)
    inputs = np.random.default_rng(1).random((7, architecture.n_inputs))
    whole = forward.predict(architecture, weights, biases, inputs)
    monkeypatch.setattr(forward, "CHUNK", 2 * architecture.activity)
    np.testing.assert_allclose(forward.predict(architecture, weights, biases, inputs), whole, rtol=1e-12)
    assert forward.predict(architecture, weights, biases, inputs[:0]).shape == (0, 3)


def test_what_does_not_fit_is_refused():
    """Shapes and missing statistics are named."""
    architecture = CASES["batch"]
    weights, biases, _ = forward.as_tensors(*parameters(architecture))
    inputs = torch.zeros(2, 36, dtype=torch.float64)
    with pytest.raises(ValueError, match="needs its running statistics"):
        forward.logits(architecture, weights, biases, inputs)
    with pytest.raises(ValueError, match=r"need matrices of shapes .* and 36 inputs, found .* and 35 inputs"):
        forward.logits(architecture, weights, biases, inputs[:, :35])
