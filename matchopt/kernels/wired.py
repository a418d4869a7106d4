"""Networks of few wires per unit: forward, backward and Adam on the samples of a batch side by side.

Activities are (units, samples) in single precision, so that every wire is one vector operation. `wires` is
`Wires.compiled`, one line per unit.
"""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiled import sums


@sums
@no_type_check
def wired_forward(wires, bias, before, after):
    """Fill `after` with bias + weights * before."""
    count, inputs, _, weights = wires
    for i in range(count.size):
        line = after[i]
        for t in range(line.size):
            line[t] = bias[i]
        for k in range(count[i]):
            weight, source = weights[i, k], before[inputs[i, k]]
            for t in range(line.size):
                line[t] += weight * source[t]


@sums
@no_type_check
def wired_backward(wires, delta, before, behind):
    """Fill `behind` with what `delta` sends back through the wires; nothing passes where `before` is 0 (rectified)."""
    count, inputs, _, weights = wires
    zero = behind.dtype.type(0)
    for x in range(behind.shape[0]):
        for t in range(behind.shape[1]):
            behind[x, t] = zero
    for i in range(count.size):
        line = delta[i]
        for k in range(count[i]):
            weight, target = weights[i, k], behind[inputs[i, k]]
            for t in range(line.size):
                target[t] += weight * line[t]
    for x in range(behind.shape[0]):
        for t in range(behind.shape[1]):
            if before[x, t] <= zero:
                behind[x, t] = zero


@sums
@no_type_check
def adam_step(values, gradient, first, second, scale, root, beta1, beta2, epsilon, decay=0.0):
    """One step of Adam (Kingma and Ba 2015, arXiv 1412.6980) on flat arrays; `scale` is the rate over 1 - beta1^step,
    `root` is 1 / sqrt(1 - beta2^step), and decay * value, an l2 penalty, adds to the gradient."""
    one, pull = values.dtype.type(1), values.dtype.type(decay)
    for k in range(values.size):
        g = gradient[k] + pull * values[k]
        first[k] = beta1 * first[k] + (one - beta1) * g
        second[k] = beta2 * second[k] + (one - beta2) * g * g
        values[k] -= scale * first[k] / (np.sqrt(second[k]) * root + epsilon)
