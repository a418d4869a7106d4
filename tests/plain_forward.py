"""Networks of every architecture, one sample at a time, written as loops that share nothing with the fast forms."""

import numpy as np

from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected, Recurrent

STATISTICS = {"mean.0": np.array([0.3, -0.2]), "variance.0": np.array([2.0, 0.5])}


def parameters(architecture, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape) for shape in architecture.matrices]
    return weights, [rng.standard_normal(rows) for rows, _ in architecture.matrices]


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def plain_convolution(image, stage, weights, bias, number, buffers):
    """One stage on one image (channels, height, width), written as loops."""
    channels, height, width = image.shape
    side, pad = stage.size, stage.padding
    wide = np.zeros((channels, height + 2 * pad, width + 2 * pad))
    wide[:, pad : pad + height, pad : pad + width] = image
    tall = [height + 2 * pad - side + 1, width + 2 * pad - side + 1]
    out = np.zeros((stage.filters, *tall))
    for f in range(stage.filters):
        for y in range(tall[0]):
            for x in range(tall[1]):
                total = bias[f]
                for c in range(channels):
                    for dy in range(side):
                        for dx in range(side):
                            total += weights[f, (c * side + dy) * side + dx] * wide[c, y + dy, x + dx]
                out[f, y, x] = total
    if stage.normalise == "batch":
        mean, variance = buffers[f"mean.{number}"], buffers[f"variance.{number}"]
        out = (out - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5)
    out = np.maximum(out, 0)
    if stage.normalise == "response":
        out = plain_response(out)
    if stage.pool:
        out = plain_pool(out, stage)
    return plain_response(out) if stage.normalise == "pooled-response" else out


def plain_response(image):
    """tf.nn.lrn(x, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75)."""
    out = np.zeros_like(image)
    for c in range(len(image)):
        neighbours = image[max(0, c - 4) : c + 5]
        out[c] = image[c] / (1 + 0.001 / 9 * (neighbours**2).sum(axis=0)) ** 0.75
    return out


def plain_pool(image, stage):
    stride, (height, width) = stage.pool_stride or stage.pool, image.shape[1:]

    def starts(side):
        whole = range(0, side, stride)
        return [s for s in whole if stage.overhang or s + stage.pool <= side][: stage.pooled(side)]

    rows = []
    for y in starts(height):
        windows = [image[:, y : y + stage.pool, x : x + stage.pool].reshape(len(image), -1) for x in starts(width)]
        rows.append([w.mean(axis=1) if stage.average else w.max(axis=1) for w in windows])
    return np.array(rows).transpose(2, 0, 1)


def plain_logits(architecture, weights, biases, sample, buffers):
    """One sample through the network, written as loops."""
    if isinstance(architecture, Recurrent):
        hidden = cell = np.zeros(architecture.hidden)
        answers = []
        for frame in sample.reshape(architecture.frames, -1):
            gates = weights[0] @ np.concatenate([frame, hidden]) + biases[0]
            enter, forget, candidate, leave = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
            hidden = sigmoid(leave) * np.tanh(cell)
            answers.append(weights[1] @ hidden + biases[1])
        return {"last": answers[-1], "mean": np.mean(answers, axis=0), "every": np.array(answers)}[architecture.readout]
    first = 0
    if isinstance(architecture, Convolutional):
        image = sample.reshape(architecture.image)
        for n, stage in enumerate(architecture.convolutions):
            image = plain_convolution(image, stage, weights[n], biases[n], n, buffers)
        sample, first = image.ravel(), len(architecture.convolutions)
    for n in range(first, len(weights)):
        sample = weights[n] @ (np.maximum(sample, 0) if n > first else sample) + biases[n]
    return sample


CASES = {
    "connected": FullyConnected((4, 5, 3)),
    "plain": Convolutional((2, 6, 5), (Convolution(2, 3), Convolution(3, 2, 1)), (4,), 3),
    "pooled": Convolutional((1, 7, 9), (Convolution(2, 3, 1, 2),), (), 3),
    "overlapping": Convolutional((1, 8, 8), (Convolution(2, 3, 1, 3, 2, overhang=True),), (), 3),
    "gaps": Convolutional((1, 7, 7), (Convolution(2, 2, 0, 1, 3, overhang=True),), (), 3),
    "average": Convolutional((1, 7, 7), (Convolution(2, 2, 1, 3, 2, average=True, overhang=True),), (), 3),
    "batch": Convolutional((1, 6, 6), (Convolution(2, 3, 0, 2, normalise="batch"),), (4, 4), 3),
    "response": Convolutional((1, 6, 6), (Convolution(12, 3, 0, 2, normalise="response"),), (), 3),
    "pooled-response": Convolutional((1, 6, 6), (Convolution(12, 3, 0, 2, normalise="pooled-response"),), (), 3),
    "last": Recurrent(3, 4, 5, 2),
    "mean": Recurrent(3, 4, 5, 2, "mean"),
    "every": Recurrent(1, 6, 2, 3, "every"),
}
