"""What the ladder does not take down: objectives of whole networks, and tunable weights with better values."""

from dataclasses import replace

import numpy as np
import pytest

from matchopt import (
    FunctionalError,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    OutputError,
    ProgramInstance,
    Refused,
    Rules,
    Target,
    TaskLoss,
    reduction,
)

LAYER = LayerInstance(Target.from_dense(np.array([[1.0, 2.0]])), Hardware(np.ones((2, 2))))
SUM = NetworkInstance((LAYER,), (np.zeros(1),))
CORRELATED = OutputError(np.array([[2.0, 1.0], [1.0, 2.0]]))


@pytest.mark.parametrize("objective", [TaskLoss(np.ones((1, 2)), np.zeros(1, int)), FunctionalError(np.ones((1, 2)))])
@pytest.mark.parametrize("to", [LayerInstance, ProgramInstance])
def test_an_objective_of_the_network_does_not_split(objective: TaskLoss, to: type[Instance]) -> None:
    """Networks with an objective of their own are refused in one sentence that names it; the sum of layers splits."""
    assert len(reduction(SUM, to).parts) == 1
    assert len(reduction(replace(SUM, adjustable=True), to).parts) == 1  # biases do not enter the layers' objectives
    with pytest.raises(Refused, match=f"split into layers does not understand {objective.name}"):
        reduction(replace(SUM, objective=objective), to)


def test_tunable_weights_under_correlated_inputs_have_no_program() -> None:
    """A tunable weight may make up for another weight's error; without correlation the target's value is best."""
    tunable = replace(LAYER, rules=Rules(tunable=1))
    with pytest.raises(Refused, match="fully tunable weights can make up"):
        reduction(replace(tunable, objective=CORRELATED), ProgramInstance)
    for fine in (tunable, replace(LAYER, objective=CORRELATED), replace(tunable, objective=OutputError(np.eye(2)))):
        assert len(reduction(fine, ProgramInstance).parts) == 1
