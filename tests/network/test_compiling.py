"""`python -m matchopt.network` compiles what trainings run."""

from matchopt.network.__main__ import compile_all
from matchopt.network.training import connection_kernels, rewiring_kernels, slot_kernels


def test_the_loops_of_rewiring_and_slot_machines_are_compiled() -> None:
    """Each of these has machine code for the types that trainings call it with."""
    compile_all()
    run = (
        connection_kernels.loss_and_gradient,
        connection_kernels.sgd_step,
        rewiring_kernels.descend,
        rewiring_kernels.descend_active,
        rewiring_kernels.diffuse_dormant,
        rewiring_kernels.list_active,
        rewiring_kernels.reactivate,
        slot_kernels.take,
        slot_kernels.take_drawn,
        slot_kernels.take_highest,
    )
    assert [loop.__name__ for loop in run if not loop.signatures] == []
