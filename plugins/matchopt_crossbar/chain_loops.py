"""What the items of one side of an array cost on every place, while the other side stays where it is."""

from typing import no_type_check

from matchopt import kernels


@kernels.reordered
@no_type_check
def add_costs(out, starts, source, weight, count, on, noise, bar, off, spill, drop):
    """Add what the connections of every item cost on all places; item a has those from starts[a] to starts[a + 1].

    Parameters
    ----------
    out : (items, places); added to.
    source : where each connection's other end is, a row of the arrays of cells.
    weight, count : of each connection: the target, and what its squared error counts for.
    on, noise, bar, off : of cells, (sources, places): values, read noise, penalty for being out of use, leaks.
    spill : what each connection's squared leak is taken off for, as it was counted for all rows and inputs.
    drop : whether connections may be dropped.
    """
    places = out.shape[1]
    for a in range(len(starts) - 1):
        for e in range(starts[a], starts[a + 1]):
            s, w, q, c = source[e], weight[e], count[e], spill[e]
            h, v, b, o = on[s], noise[s], bar[s], off[s]
            for k in range(places):
                d, u = w - h[k], w - o[k]
                wired = q * (d * d + v[k]) + b[k]
                cost = min(wired, q * u * u) if drop else wired
                out[a, k] += cost - c * o[k] * o[k]
