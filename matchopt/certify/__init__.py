"""Lower bounds and proofs of optimality that share no code with any solver or kernel."""

from matchopt.certify.certificate import Certificate as Certificate
from matchopt.certify.certify import certify as certify
from matchopt.certify.infeasible import certify_infeasible as certify_infeasible
from matchopt.certify.layer import relaxed_bound as relaxed_bound
