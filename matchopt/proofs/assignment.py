"""Bounds and proofs for linear assignments, by weak duality.

For any v and u_i = min over k of c[i,k] - v[k], every assignment costs at least sum u + the sum of v over the columns
it uses; with v <= 0 that is at least sum u + sum v. The bound is always recomputed this way from the labels v, so
nothing depends on how they were found.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from matchopt.errors import Refused
from matchopt.instances import Assignment, AssignmentInstance
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.effort import Effort
from matchopt.proofs.entries import DenseEntries, Entries, SparseEntries
from matchopt.proofs.potentials import Potentials, potentials

HALF_ULP = 2.0**-53  # relative error of one rounding
ALLOWED = 2.0**-46  # of the sum of absolute assigned costs and rows times the largest potential: 128 roundings a row
MOST_COST = 1e300  # sums of potentials stay finite
MOST_DENSE = 2**24  # entries up to which a better assignment is sought with SciPy's dense engine


@understanding("the proof of a bound on assignments", AT_0_1["assignment"])
def certify_assignment(instance: AssignmentInstance, solution: Assignment, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`."""
    col_of = solution.col_of
    entries = _entries(instance)
    own = own_costs(entries, col_of)
    proof = prove(entries, col_of, own, effort)
    cost, best = exact_sum(own), exact_sum(proof.own)
    bound = dual_bound(entries, proof.ended.v)
    allowance = rounding_allowance(own, proof.ended.v)
    duals = (Duals(entries.row_minima(proof.ended.v), proof.ended.v),)
    if not instance.is_integral:
        return Certificate(bound, cost - bound <= allowance, cost - best > allowance, allowance, "dual", duals)
    return Certificate(bound, bound == cost, best < cost, 0.0, "dual, exact", duals)


@dataclass(frozen=True)
class Proof:
    """The best assignment met, its costs row by row, and the last potentials."""

    col_of: Int[np.ndarray, " rows"]
    own: Shaped[np.ndarray, " rows"]
    ended: Potentials


def prove(
    entries: Entries, col_of: Int[np.ndarray, " rows"], own: Shaped[np.ndarray, " rows"], effort: Effort
) -> Proof:
    """Prove an assignment optimal, or improve it until one is or the effort is spent."""
    slack: float = 0  # an int: int64 labels must stay exact
    sought = False
    while True:
        ended = potentials(entries, col_of, own, slack, effort)
        if ended.fixed or len(ended.rows) == 0:
            return Proof(col_of, own, ended)
        trial = col_of.copy()
        trial[ended.rows] = ended.cols
        trial_own = own_costs(entries, trial)
        if exact_sum(own) - exact_sum(trial_own) <= rounding_allowance(own, ended.v) and own.dtype.kind == "f":
            # The cycle is one of rounding errors: labels must fall by more than those.
            least = HALF_ULP * (float(np.abs(own).mean()) + float(np.abs(ended.v).max()))
            slack = max(8.0 * slack, 4.0 * least, 5e-324)
            continue
        col_of, own = trial, trial_own
        if not sought:  # one cycle at a time would be slow: take a good assignment from an engine, and prove that
            sought, (col_of, own) = True, _engine(entries, col_of, own)


def dual_bound(entries: Entries, v: Shaped[np.ndarray, " cols"]) -> float | int:
    """The bound that potentials v <= 0 prove; floats are rounded down by more than all rounding errors."""
    u = entries.row_minima(v)
    value = exact_sum(u) + exact_sum(v)
    if v.dtype.kind != "f":
        return value
    # Each u was rounded once, by at most HALF_ULP * |u| (also at another column: x - HALF_ULP |x| is monotone).
    size = math.fsum(np.abs(u)) + math.fsum(np.abs(v))
    return float(value - 8.0 * HALF_ULP * size)


def rounding_allowance(own: Shaped[np.ndarray, " rows"], v: Shaped[np.ndarray, " cols"]) -> float:
    """What rounding may leave between an optimal float assignment and its dual bound; 0 on integers."""
    if own.dtype.kind != "f" or len(own) == 0:
        return 0.0
    return ALLOWED * (math.fsum(np.abs(own)) + len(own) * float(np.abs(v).max()))


def exact_sum(values: Shaped[np.ndarray, " any"]) -> float | int:
    """The sum: correctly rounded for floats, exact for integers."""
    return math.fsum(values) if values.dtype.kind == "f" else sum(values.tolist())


def own_costs(entries: Entries, col_of: Int[np.ndarray, " rows"]) -> Shaped[np.ndarray, " rows"]:
    """The cost of every row on its column.

    Raises
    ------
    Refused
        when this is no assignment at all, or uses a forbidden pair.
    """
    inside = len(col_of) == entries.n_rows and bool(((col_of >= 0) & (col_of < entries.n_cols)).all())
    if not inside or len(np.unique(col_of)) != len(col_of):
        raise Refused("the solution is not feasible, so there is nothing to prove; matchopt.check tells why")
    own = entries.at(np.arange(len(col_of)), col_of)
    if own is None:
        raise Refused("the solution is not feasible: it uses a forbidden pair; matchopt.check tells which")
    return own


def _entries(instance: AssignmentInstance) -> Entries:
    cost = instance.cost
    if instance.is_integral and cost.size:
        low, high = int(cost.min()), int(cost.max())
        # Labels are path lengths of at most n_cols arcs; where those could leave int64, Python's integers cannot.
        if max(abs(low), abs(high)) + (instance.n_cols + 2) * (high - low) >= 2**63:
            cost = cost.astype(object)
    elif cost.size and (instance.n_cols + 4) * float(np.abs(cost[cost < np.inf]).max(initial=0.0)) > MOST_COST:
        raise Refused(f"costs above {MOST_COST / (instance.n_cols + 4):.0e} leave no room for a proof in floats")
    if instance.indptr is None or instance.indices is None:
        return DenseEntries(cost)
    allowed = np.flatnonzero(cost != np.inf)
    starts = np.searchsorted(allowed, instance.indptr)
    if bool((np.diff(starts) == 0).any()):
        raise Refused("the instance is infeasible: a row has no allowed column, so there is nothing to prove")
    return SparseEntries(starts, instance.indices[allowed], cost[allowed], instance.n_cols)


def _engine(
    entries: Entries, col_of: Int[np.ndarray, " rows"], own: Shaped[np.ndarray, " rows"]
) -> tuple[Int[np.ndarray, " rows"], Shaped[np.ndarray, " rows"]]:
    """An assignment from SciPy where that is cheaper than `col_of`; nothing is believed but its recomputed cost."""
    found = _scipy_assignment(entries)
    if found is not None and len(found) == len(col_of):
        found_own = own_costs(entries, found)
        if exact_sum(found_own) < exact_sum(own):
            return found, found_own
    return col_of, own


def _scipy_assignment(entries: Entries) -> Int[np.ndarray, " rows"] | None:
    if isinstance(entries, DenseEntries) and entries.cost.size <= MOST_DENSE:
        from scipy.optimize import linear_sum_assignment

        return np.asarray(linear_sum_assignment(entries.cost.astype(np.float64))[1])
    if isinstance(entries, SparseEntries) and len(entries.cost):
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import min_weight_full_bipartite_matching

        cost = entries.cost.astype(np.float64)
        # SciPy drops entries of cost zero: all are shifted alike, which changes no comparison.
        shifted = cost - cost.min() + max(1.0, float(np.ptp(cost)))
        table = csr_matrix((shifted, entries.indices, entries.indptr), (entries.n_rows, entries.n_cols))
        rows, cols = min_weight_full_bipartite_matching(table)
        return np.asarray(cols[np.argsort(rows)])
    return None
