"""Training in which a test looks at the run after every step."""

from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st

from .conftest import toy_data

SEEDS = st.integers(0, 2**32 - 1)
WIDTHS_AND_DATA = st.tuples(st.integers(1, 8), st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(2, 4))


def network_and_data(found, seed):
    """Widths and a toy data set of what `WIDTHS_AND_DATA` drew."""
    pixels, hidden, classes = found
    return (pixels, *hidden, classes), toy_data(pixels, classes, seed=seed % 1_000)


def train_watched(trainer, data, architecture, seed, after_step=None, after_enter=None, **more):
    """Train; call `after_step(run, at)` after every step and `after_enter(run, phase)` when a phase has begun."""
    new_run = type(trainer).new_run

    def watched(self, setting):
        run = new_run(self, setting)
        step, enter = run.step, run.enter

        def step_and_look(at):
            step(at)
            if after_step:
                after_step(run, at)

        def enter_and_look(phase):
            enter(phase)
            if after_enter:
                after_enter(run, phase)

        run.step, run.enter = step_and_look, enter_and_look
        return run

    with patch.object(type(trainer), "new_run", watched):
        return trainer.train(data, architecture, seed, **more)


def assert_zero_outside(net):
    """Weights outside the mask are zero, and the network says the same of what is in use."""
    assert not net.weights[~net.mask].any()
    assert net.counts == tuple(int(np.count_nonzero(net.mask[part])) for part in net.segments)
