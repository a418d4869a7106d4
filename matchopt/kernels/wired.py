"""Networks of few wires per unit: forward, backward and Adam on the samples of a batch side by side.

Activities are (units, samples) in single precision, so that every wire is one vector operation. `wires` are
`Wires`, one line per unit.
"""

import numpy as np

from matchopt.kernels.compiling import sums


@sums
def wired_forward(wires, bias, before, after):
    """Fill `after` with bias + weights * before.

    Parameters
    ----------
    wires : `Wires`, one line per unit.
    bias : of every unit, float32, shape (units,).
    before : activities of the inputs, float32, shape (inputs, samples).
    after : receives the signals of the units, float32, shape (units, samples).
    """
    count, inputs, weights = wires.count, wires.inputs, wires.weights
    if bias.size != count.size or after.shape[0] != count.size or after.shape[1] != before.shape[1]:
        raise ValueError("bias and after have one line per unit of the wires, after and before one column per sample")
    for i in range(count.size):
        line = after[i]
        for t in range(line.size):
            line[t] = bias[i]
        for k in range(count[i]):
            if inputs[i, k] >= before.shape[0]:
                raise ValueError("a wire listens to an input that before does not have")
            weight, source = weights[i, k], before[inputs[i, k]]
            for t in range(line.size):
                line[t] += weight * source[t]


@sums
def wired_backward(wires, delta, before, behind):
    """Fill `behind` with what `delta` sends back through the wires; nothing passes where `before` is 0 (rectified).

    Parameters
    ----------
    wires : `Wires`, one line per unit.
    delta : derivatives of the loss by the signals of the units, float32, shape (units, samples).
    before : activities of the inputs, float32, shape (inputs, samples).
    behind : receives the derivatives by the signals of the inputs, float32, shape (inputs, samples).
    """
    count, inputs, weights = wires.count, wires.inputs, wires.weights
    if delta.shape[0] != count.size or delta.shape[1] != behind.shape[1] or before.shape != behind.shape:
        raise ValueError("delta has one line per unit of the wires and one column per sample, before behind's shape")
    zero = behind.dtype.type(0)
    for x in range(behind.shape[0]):
        for t in range(behind.shape[1]):
            behind[x, t] = zero
    for i in range(count.size):
        line = delta[i]
        for k in range(count[i]):
            if inputs[i, k] >= behind.shape[0]:
                raise ValueError("a wire listens to an input that behind does not have")
            weight, target = weights[i, k], behind[inputs[i, k]]
            for t in range(line.size):
                target[t] += weight * line[t]
    for x in range(behind.shape[0]):
        for t in range(behind.shape[1]):
            if before[x, t] <= zero:
                behind[x, t] = zero


@sums
def adam_step(values, gradient, first, second, scale, root, beta1, beta2, epsilon, decay=0.0):
    """One step of Adam (Kingma and Ba 2015, arXiv 1412.6980) on flat arrays of one type of float, in place.

    Parameters
    ----------
    values : what is trained.
    gradient : derivatives of the loss by `values`.
    first, second : running means of the gradient and of its square, 0 before the first step; updated.
    scale : the rate over 1 - beta1^step.
    root : 1 / sqrt(1 - beta2^step).
    beta1, beta2, epsilon : the method's constants, mostly 0.9, 0.999 and 1e-8, of the type of `values`.
    decay : an l2 penalty; decay * value adds to the gradient.
    """
    if gradient.size != values.size or first.size != values.size or second.size != values.size:
        raise ValueError("gradient, first and second must be as long as values")
    one, pull = values.dtype.type(1), values.dtype.type(decay)
    for k in range(values.size):
        g = gradient[k] + pull * values[k]
        first[k] = beta1 * first[k] + (one - beta1) * g
        second[k] = beta2 * second[k] + (one - beta2) * g * g
        values[k] -= scale * first[k] / (np.sqrt(second[k]) * root + epsilon)
