"""All sums of the cells of a neuron: what weights cost at least, and the best sums of which no two share a cell."""

from typing import no_type_check

import numpy as np

from matchopt import kernels
from matchopt_sums.choosing import Row
from matchopt_sums.descent import scaled

MOST_BITS = 16  # cells of which all sets are gone through


@kernels.compiled
@no_type_check
def _all_sums(neuron, most, n_sums):
    """Sum, noise and cells (as bits, if they are few) of every set of 1 .. most cells, of which there are n_sums."""
    total, spread = np.empty(n_sums), np.empty(n_sums)
    bits, last = np.zeros(n_sums, np.int64), np.empty(n_sums, np.int64)
    count, begin, stop = 0, -1, 0
    for _ in range(min(most, neuron.cells.size)):
        for s in range(begin, stop):
            for k in range(last[s] + 1 if s >= 0 else 0, neuron.cells.size):
                total[count] = neuron.cells[k] + (total[s] if s >= 0 else 0.0)
                spread[count] = neuron.noise[k] + (spread[s] if s >= 0 else 0.0)
                last[count], bits[count] = k, (bits[s] if s >= 0 else 0) | (1 << (k & 63))
                count += 1
        begin, stop = max(0, stop), count
    return total, spread, bits


@kernels.compiled
@no_type_check
def relaxed(starts, weights, factor, cells, noise, n_usable, gain, least, most, n_sums, costs):
    """Lower costs[i] to what row i costs where each of its weights has its best sum, whoever else takes the cells."""
    total, spread, _ = _all_sums(scaled(cells, noise, n_usable, gain), most, n_sums)
    for i in range(costs.size):
        sums = np.inf if (starts[i + 1] - starts[i]) * least > n_usable else 0.0
        for e in range(starts[i], starts[i + 1]):
            best = weights[e] * weights[e] if least == 0 else np.inf
            for s in range(n_sums):
                off = weights[e] - total[s]
                best = min(best, off * off + spread[s])
            sums += factor[e] * best if best < np.inf else np.inf
        costs[i] = min(costs[i], sums)


@kernels.compiled
@no_type_check
def best_sums(weights, factor, cells, noise, n_usable, gain, least, most, n_sums, below, owner):
    """The least cost of a row on a neuron of few cells, and their owners; inf where it is not less than `below`.

    After each weight the least cost is kept for every set of cells that those so far may take.
    """
    row, n, size = Row(weights, factor, least, most), weights.size, 1 << n_usable
    total, spread, bits = _all_sums(scaled(cells, noise, n_usable, gain), most, n_sums)
    costs, order = np.empty((n, n_sums)), np.empty((n, n_sums), np.int64)
    left, before, chosen = np.zeros(n + 1), np.full(size, np.inf), np.full((n, size), -1, np.int32)
    for e in range(n - 1, -1, -1):
        for s in range(n_sums):
            off = row.weights[e] - total[s]
            costs[e, s] = row.factor[e] * (off * off + spread[s])
        order[e] = np.argsort(costs[e])
        unwired = row.factor[e] * row.weights[e] * row.weights[e] if least == 0 else np.inf
        left[e] = left[e + 1] + min(unwired, costs[e, order[e, 0]] if n_sums else np.inf)
    before[0] = 0.0
    for e in range(n):
        after = np.full(size, np.inf)
        for taken in range(size):
            if not before[taken] + left[e] < below:
                continue
            if least == 0:
                found = before[taken] + row.factor[e] * row.weights[e] * row.weights[e]
                if found < after[taken]:
                    after[taken], chosen[e, taken] = found, -1
            for s in order[e]:
                found = before[taken] + costs[e, s]
                if not found + left[e + 1] < below:
                    break
                more = taken | bits[s]
                if bits[s] & taken == 0 and found < after[more]:
                    after[more], chosen[e, more] = found, s
        before = after
    owner[:] = -1
    at = int(np.argmin(before))
    if before[at] < np.inf:
        _trace(chosen, bits, at, n_usable, gain, owner)
    return before[at]


@kernels.compiled
@no_type_check
def _trace(chosen, bits, at, n_usable, gain, owner):
    """Fill in who owns the cells, from the set that all weights take back to none."""
    for e in range(chosen.shape[0] - 1, -1, -1):
        s = chosen[e, at]
        for k in range(n_usable if s >= 0 else 0):
            if bits[s] >> k & 1:
                owner[k if gain >= 0.0 else n_usable - 1 - k] = e
        at ^= bits[s] if s >= 0 else 0
