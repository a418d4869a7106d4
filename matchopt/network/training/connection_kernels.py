"""The hot loops of sparse training: a network as one list of connections, the images of a batch side by side.

All units of the network are numbered through, inputs first. `activity[unit]` and `delta[unit]` hold one value per image
of the batch, contiguously, so that every connection is one vector operation. Parameters are one flat vector: the
weights of all connections in layer order, then the biases of all units that are no inputs.
"""

import numpy as np

from matchopt.kernels.compiling import reordered


@reordered
def forward(values, source, target, first_connection, first_unit, activity):
    """Fill `activity` of all units behind the inputs; the last layer keeps its logits, the others are rectified."""
    layers = first_connection.size - 1
    lanes = activity.shape[1]
    bias_of = first_connection[layers] - first_unit[1]
    for layer in range(layers):
        for unit in range(first_unit[layer + 1], first_unit[layer + 2]):
            bias = values[bias_of + unit]
            for t in range(lanes):
                activity[unit, t] = bias
        for k in range(first_connection[layer], first_connection[layer + 1]):
            weight, before, after = values[k], activity[source[k]], activity[target[k]]
            for t in range(lanes):
                after[t] += weight * before[t]
        if layer < layers - 1:
            for unit in range(first_unit[layer + 1], first_unit[layer + 2]):
                for t in range(lanes):
                    activity[unit, t] = max(activity[unit, t], np.float32(0))


@reordered
def softmax_loss(logits, labels, batch, delta):
    """Mean cross-entropy of (classes x lanes) logits of the images in `batch`; `delta` becomes its derivative."""
    classes, lanes = logits.shape
    loss = 0.0
    share = np.float32(1.0) / np.float32(lanes)
    for t in range(lanes):
        highest = logits[0, t]
        for c in range(1, classes):
            highest = max(highest, logits[c, t])
        total = np.float32(0)
        for c in range(classes):
            delta[c, t] = np.exp(logits[c, t] - highest)
            total += delta[c, t]
        for c in range(classes):
            delta[c, t] *= share / total
        label = labels[batch[t]]
        delta[label, t] -= share
        loss += np.log(total) - (logits[label, t] - highest)
    return loss / lanes


@reordered
def stop_at_zeros(activity, delta):
    """The derivative of ReLU: no error passes a unit that was not active."""
    for unit in range(activity.shape[0]):
        for t in range(activity.shape[1]):
            if activity[unit, t] <= np.float32(0):
                delta[unit, t] = np.float32(0)


@reordered
def backward(values, source, target, first_connection, first_unit, activity, delta, gradient):
    """Fill `gradient` from `delta` of the last layer, and `delta` of all hidden units on the way."""
    layers = first_connection.size - 1
    lanes = activity.shape[1]
    bias_of = first_connection[layers] - first_unit[1]
    for unit in range(first_unit[1], first_unit[layers]):
        for t in range(lanes):
            delta[unit, t] = np.float32(0)
    for layer in range(layers - 1, -1, -1):
        for k in range(first_connection[layer], first_connection[layer + 1]):
            before, after = activity[source[k]], delta[target[k]]
            total = np.float32(0)
            for t in range(lanes):
                total += after[t] * before[t]
            gradient[k] = total
            if layer > 0:
                weight, behind = values[k], delta[source[k]]
                for t in range(lanes):
                    behind[t] += weight * after[t]
        if layer > 0:
            stop_at_zeros(activity[first_unit[layer] : first_unit[layer + 1]], delta[first_unit[layer] :])
    for unit in range(first_unit[1], first_unit[layers + 1]):
        total = np.float32(0)
        for t in range(lanes):
            total += delta[unit, t]
        gradient[bias_of + unit] = total


@reordered
def load(images, batch, activity):
    """Copy the images numbered in `batch` into the input units, one image per lane."""
    for pixel in range(images.shape[1]):
        for t in range(batch.size):
            activity[pixel, t] = images[batch[t], pixel]


@reordered
def loss_and_gradient(values, source, target, first_connection, first_unit, images, labels, batch, work, gradient):
    """One training step's loss and gradient; `work` is (2 x units x lanes) scratch space."""
    activity, delta = work[0], work[1]
    load(images, batch, activity)
    forward(values, source, target, first_connection, first_unit, activity)
    start = first_unit[first_unit.size - 2]
    loss = softmax_loss(activity[start:], labels, batch, delta[start:])
    backward(values, source, target, first_connection, first_unit, activity, delta, gradient)
    return loss


@reordered
def sgd_step(values, gradient, speed, rate, momentum, decay, nesterov):
    """One step of gradient descent with momentum; `nesterov` adds the momentum's next share at once."""
    for k in range(values.size):
        g = gradient[k] + decay * values[k]
        speed[k] = momentum * speed[k] + g
        values[k] -= rate * (g + momentum * speed[k] if nesterov else speed[k])


@reordered
def plain_step(values, gradient, rate, decay):
    """One step of gradient descent."""
    for k in range(values.size):
        values[k] -= rate * (gradient[k] + decay * values[k])
