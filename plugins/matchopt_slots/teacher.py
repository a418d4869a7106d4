"""The target network, run beside the one in training."""

import numpy as np

from matchopt import NetworkInstance
from matchopt.kernels import Wires
from matchopt_slots.layers import Activity
from matchopt_slots.samples import Samples


class Teacher:
    """Gives the signals of the target network."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._wires = [target_wires(instance, n, samples.live) for n in range(len(instance.layers))]
        rows = [layer.n_rows for layer in instance.layers]
        given = instance.biases or tuple(np.zeros(m) for m in rows)
        self._biases = [bias.astype(np.float32) for bias in given]
        self._shape = (rows, len(samples.live), samples.constant)
        self._activity = Activity(*self._shape, lanes)

    def signals(self, inputs: np.ndarray, lanes: int) -> list[np.ndarray]:
        """Pre-activations of every layer on these inputs; valid until the next call."""
        if self._activity.lanes != lanes:
            self._activity = Activity(*self._shape, lanes)
        self._activity.forward(self._wires, self._biases, inputs)
        return self._activity.signals


def target_wires(instance: NetworkInstance, n: int, live: np.ndarray) -> Wires:
    """The target weights of layer `n` as wires; of the first layer those on live inputs."""
    target = instance.layers[n].target
    place = np.full(target.n_inputs, -1)
    chosen = live if n == 0 else np.arange(target.n_inputs)
    place[chosen] = np.arange(len(chosen))
    kept = place[target.indices] >= 0
    rows = target.row_of[kept]
    count = np.bincount(rows, minlength=target.n_rows)
    made = Wires.room(target.n_rows, int(count.max(initial=0)))
    made.count[:] = count
    at = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    made.inputs[rows, at] = place[target.indices[kept]]
    made.weights[rows, at] = target.weights[kept]
    return made
