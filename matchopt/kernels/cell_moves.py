"""Local search for the inputs that the cells of a hardware neuron listen to, under a quadratic cost.

With w the placed weights of a row, score = max over u in [low, high] of 2 u a - u^2 q is to be made large, where
a = a0 + linear.w and q = q0 + w^T S w + noise. A move changes a and q by a few terms of the product S w, so judging one
costs O(1); making one updates S w in O(inputs). Moves: a cell leaves its input, moves to an empty one, changes places
with another cell, takes the place of a used cell, or yields its own to an unused one.

All floats of a call have one type, single or double.
"""

from typing import Any, NamedTuple

from matchopt.kernels.compiling import compiled, inlined, quick

LEAVE, MOVE, EXCHANGE, TAKE, YIELD = 1, 2, 3, 4, 5
TAKEN = 1e30  # keeps a scan away from inputs that a cell listens to already
SMALL = 1e-30  # in place of a vanishing q
PASSES = 60  # most rounds over the cells of one descent


class Row(NamedTuple):
    """The error of one row: moments S of its inputs, their diagonal, what multiplies read noise, the linear part, and
    which inputs are required."""

    moments: Any
    diagonal: Any
    power: Any
    linear: Any
    required: Any


class Neuron(NamedTuple):
    """The usable cells of one hardware neuron, their read noise, and the scales `low` .. `high` its row may have."""

    cells: Any
    noise: Any
    low: Any
    high: Any


class Workspace(NamedTuple):
    """Scratch of `improve`: the `product` S w, inputs `taken`, what a scan `found`, zeros, and places on `trial`."""

    product: Any
    taken: Any
    found: Any
    nothing: Any
    trial: Any


@inlined
def score(a, q, low, high):
    """Max over u in [low, high] of 2 u a - u^2 q."""
    u = best_scale(a, q, low, high)
    return u * (a + a - u * q)


@inlined
def best_scale(a, q, low, high):
    """The u of the maximum."""
    if low == high:
        return low
    return min(max(a / max(q, type(q)(SMALL)), low), high)


@quick
def best_empty(h, v, a, q, neuron, errors, row, work):
    """The best empty input for a cell of weight h and noise v, and the score it leads to.

    a and q are without the cell; `work.product` is S w with it, and `row` the row of S where it was (zeros if nowhere).
    """
    diagonal, power, linear, low, high = errors.diagonal, errors.power, errors.linear, neuron.low, neuron.high
    product, taken, found = work.product, work.taken, work.found
    two, square = h + h, h * h
    best = found.dtype.type(-TAKEN)
    if low == high:
        for x in range(linear.size):
            r = q + square * diagonal[x] + v * power[x] + two * (product[x] - h * row[x])
            reach = low * (a + a + two * linear[x] - low * r) - taken[x]
            found[x] = reach
            best = max(best, reach)
    else:
        small = found.dtype.type(SMALL)
        for x in range(linear.size):
            b = a + h * linear[x]
            r = q + square * diagonal[x] + v * power[x] + two * (product[x] - h * row[x])
            u = min(max(b / max(r, small), low), high)
            reach = u * (b + b - u * r) - taken[x]
            found[x] = reach
            best = max(best, reach)
    for x in range(linear.size):
        if found[x] == best:
            return x, best
    return -1, best


@quick
def add_row(product, factor, row):
    """product += factor * row."""
    for x in range(product.size):
        product[x] += factor * row[x]


@compiled
def begin(neuron, errors, a0, q0, at, work):
    """Set S w and the taken inputs for cells placed `at` (input, or -1); returns a and q."""
    work.product[:] = 0
    work.taken[:] = 0
    a, q = a0, q0
    for k in range(neuron.cells.size):
        if at[k] >= 0:
            work.taken[at[k]] = TAKEN
            a, q = change(neuron.cells[k], neuron.noise[k], at[k], errors, a, q, work.product)
    return a, q


@inlined
def change(h, v, x, errors, a, q, product):
    """Add h to the weight on input x, and v to its noise; returns a and q."""
    a += h * errors.linear[x]
    q += h * (product[x] + product[x] + h * errors.diagonal[x]) + v * errors.power[x]
    add_row(product, h, errors.moments[x])
    return a, q


@compiled
def descend(neuron, errors, a, q, least, at, work):
    """Improve `at` until no move gains more than `least`; returns a and q."""
    idle, k, size = 0, 0, neuron.cells.size
    for _ in range(PASSES * size):
        if idle == size:
            break
        now = score(a, q, neuron.low, neuron.high) + least
        best, kind, arg = move_alone(neuron, errors, a, q, k, at, work, now)
        best, kind, arg = move_pair(neuron, errors, a, q, k, at, work.product, best, kind, arg)
        idle += 1
        if kind:
            idle = 0
            a, q = make_move(kind, k, arg, neuron, errors, a, q, at, work)
        k = k + 1 if k + 1 < size else 0
    return a, q


@inlined
def move_alone(neuron, errors, a, q, k, at, work, best):
    """The best move of cell k alone if it reaches more than `best`: what it reaches, its kind (0 none), the input."""
    kind, arg, h, v, p = 0, -1, neuron.cells[k], neuron.noise[k], at[k]
    if p < 0:
        x, reach = best_empty(h, v, a, q, neuron, errors, work.nothing, work)
        if reach > best:
            best, kind, arg = reach, MOVE, x
    elif not errors.required[p]:
        a1 = a - h * errors.linear[p]
        q1 = q - h * (work.product[p] + work.product[p] - h * errors.diagonal[p]) - v * errors.power[p]
        reach = score(a1, q1, neuron.low, neuron.high)
        if reach > best:
            best, kind = reach, LEAVE
        x, reach = best_empty(h, v, a1, q1, neuron, errors, errors.moments[p], work)
        if reach > best:
            best, kind, arg = reach, MOVE, x
    return best, kind, arg


@inlined
def move_pair(neuron, errors, a, q, k, at, product, best, kind, arg):
    """The same for moves of cell k and another one; `arg` is the other cell."""
    cells, noise, low, high = neuron.cells, neuron.noise, neuron.low, neuron.high
    moments, diagonal, power, linear = errors.moments, errors.diagonal, errors.power, errors.linear
    p = at[k]
    for other in range(cells.size):
        x = at[other]
        if other == k or (p < 0 and x < 0):
            continue
        e, w = cells[other] - cells[k], noise[other] - noise[k]
        if p >= 0 and x >= 0:
            slope, cross = product[p] - product[x], moments[p, x]
            a1 = a + e * (linear[p] - linear[x])
            q1 = q + e * (slope + slope + e * (diagonal[p] + diagonal[x] - cross - cross))
            q1 += w * (power[p] - power[x])
            what = EXCHANGE
        elif p >= 0:
            a1 = a + e * linear[p]
            q1 = q + e * (product[p] + product[p] + e * diagonal[p]) + w * power[p]
            what = YIELD
        else:
            a1 = a - e * linear[x]
            q1 = q - e * (product[x] + product[x] - e * diagonal[x]) - w * power[x]
            what = TAKE
        reach = score(a1, q1, low, high)
        if reach > best:
            best, kind, arg = reach, what, other
    return best, kind, arg


@inlined
def make_move(kind, k, arg, neuron, errors, a, q, at, work):
    """Make a move; returns the new a and q."""
    cells, noise, product, p = neuron.cells, neuron.noise, work.product, at[k]
    if kind >= EXCHANGE:
        x = at[arg]
        e, w = cells[arg] - cells[k], noise[arg] - noise[k]
        if p >= 0:
            a, q = change(e, w, p, errors, a, q, product)
        if x >= 0:
            a, q = change(-e, -w, x, errors, a, q, product)
        at[k], at[arg] = x, p
        return a, q
    if p >= 0:
        a, q = change(-cells[k], -noise[k], p, errors, a, q, product)
        work.taken[p] = 0
    at[k] = arg
    if arg >= 0:
        a, q = change(cells[k], noise[k], arg, errors, a, q, product)
        work.taken[arg] = TAKEN
    return a, q
