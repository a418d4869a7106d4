"""Lower bounds and proofs of optimality that share no code with any solver or kernel."""

from matchopt.proofs.certificate import Certificate as Certificate
from matchopt.proofs.certify import certify as certify
from matchopt.proofs.crossbar import kept_bound as kept_bound
from matchopt.proofs.crossbar import split_bound as split_bound
from matchopt.proofs.infeasible import certify_infeasible as certify_infeasible
from matchopt.proofs.infeasible import constructed as constructed
from matchopt.proofs.layer import relaxed_bound as relaxed_bound
