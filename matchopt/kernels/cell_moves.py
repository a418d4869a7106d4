"""Local search for the inputs that the cells of a hardware neuron listen to, under a quadratic cost.

With w the placed weights of a row, score = max over u in [low, high] of 2 u a - u^2 q is to be made large, where
a = a0 + linear.w and q = q0 + w^T S w + noise. A move changes a and q by a few terms of the product S w, so judging one
costs O(1); making one updates S w in O(inputs). Moves: a cell leaves its input, moves to an empty one, changes places
with another cell, takes the place of a used cell, or yields its own to an unused one.

All floats of a call have one type, single or double.
"""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.compiling import compiled, fused, inlined, quick, scan

LEAVE, MOVE, EXCHANGE, TAKE, YIELD = 1, 2, 3, 4, 5
TAKEN = 1e30  # keeps a scan away from inputs that a cell listens to already
SMALL = 1e-30  # in place of a vanishing q
PASSES = 60  # most rounds over the cells of one descent
LANES, SOME = 8, 64  # numbers that are looked at together
SAFE = 128.0  # roundings that are allowed for where a move is ruled out
CELL, NOISE, LINEAR, DIAGONAL, POWER, PRODUCT, CROSS = range(7)  # what is near, by cell


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
    """Scratch of `improve`: the `product` S w, inputs `taken`, what a scan `found`, zeros, places on `trial`, what is
    `near`: by cell, as `note_places` says; and the `largest` of the diagonal."""

    product: Any
    taken: Any
    found: Any
    nothing: Any
    trial: Any
    near: Any
    largest: Any


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


@scan  # not `quick`, which takes reciprocals where it fills vector registers: other roundings than one by one
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
    else:
        small = found.dtype.type(SMALL)
        for x in range(linear.size):
            b = a + h * linear[x]
            r = q + square * diagonal[x] + v * power[x] + two * (product[x] - h * row[x])
            u = min(max(b / max(r, small), low), high)
            reach = u * (b + b - u * r) - taken[x]
            found[x] = reach
    first = -1
    for start in range(0, linear.size, SOME):
        end, hit = min(start + SOME, linear.size), False
        for x in range(start, end):
            hit = hit | (found[x] > best)
        if hit:
            for x in range(start, end):
                if found[x] > best:
                    first, best = x, found[x]
    return first, best


@quick
def may_reach(best, least, h, a, q, neuron, errors, row, work):
    """Whether `best_empty` could reach more than `best`, on the safe side of all rounding; mostly it cannot.

    At a fixed scale it is the same with fewer operations, but for the noise; else no scale reaches more than a^2 / q.
    """
    diagonal, linear, low, high = errors.diagonal, errors.linear, neuron.low, neuron.high
    product, taken = work.product, work.taken
    kind = linear.dtype.type
    half, two, hit = kind(0.5), kind(2), False
    size, safe = q + h * h * work.largest[0], kind(SAFE * np.finfo(kind).eps)
    if low == high and low > 0:
        step, margin = low * h, safe * (abs(best) + low * abs(a) + low * low * size) + least
        bar = (best - margin - low * (a + a - low * q)) / (two * low)
        for x in range(linear.size):
            gain = h * (linear[x] - low * product[x] + step * (row[x] - half * diagonal[x])) - taken[x]
            hit = hit | (gain > bar)
        return hit
    if not best > kind(SMALL):
        return True
    inverse, double, square = kind(1) / best, h + h, h * h
    bar = q - safe * (size + a * a * inverse)
    for x in range(linear.size):
        b = a + h * linear[x]
        gain = b * (b * inverse) - square * diagonal[x] - double * (product[x] - h * row[x]) - taken[x]
        hit = hit | (gain > bar)
    return hit


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
def note_cells(neuron, near):
    """Note the cells; past the last of them NaN, that no move is found there."""
    for k in range(near.shape[1]):
        real = k < neuron.cells.size
        near[CELL, k] = neuron.cells[k] if real else np.nan
        near[NOISE, k] = neuron.noise[k] if real else 0


@inlined
def note_places(errors, at, work):
    """Note what moves of two cells depend on: linear part, diagonal, power and product at the input of each, or 0."""
    near = work.near
    for k in range(near.shape[1]):
        x = at[k] if k < at.size else -1
        used = x >= 0
        near[LINEAR, k] = errors.linear[x] if used else 0
        near[DIAGONAL, k] = errors.diagonal[x] if used else 0
        near[POWER, k] = errors.power[x] if used else 0
        near[PRODUCT, k] = work.product[x] if used else 0


@inlined
def note_row(errors, at, p, near):
    """Note the moments of input p with the input of each cell; 0 where there is none."""
    if p < 0:
        near[CROSS, : at.size] = 0
        return
    row = errors.moments[p]
    for k in range(at.size):
        near[CROSS, k] = row[at[k]] if at[k] >= 0 else 0


@inlined
def pair_reaches(best, a, q, k, near, low, high):
    """Whether a move of cell k and another one reaches more than `best`; both may be anywhere, or nowhere."""
    cell, noise, line, own = near[CELL, k], near[NOISE, k], near[LINEAR, k], near[DIAGONAL, k]
    power, product = near[POWER, k], near[PRODUCT, k]
    hit = False
    for start in range(0, near.shape[1], LANES):
        for lane in range(LANES):
            o = start + lane
            e, w, cross = near[CELL, o] - cell, near[NOISE, o] - noise, near[CROSS, o]
            slope = product - near[PRODUCT, o]
            a1 = a + e * (line - near[LINEAR, o])
            q1 = q + e * (slope + slope + e * (own + near[DIAGONAL, o] - cross - cross))
            q1 += w * (power - near[POWER, o])
            hit = hit | (score(a1, q1, low, high) > best)
    return hit


@inlined
def take(at, taken):
    """Set the taken inputs."""
    taken[:] = 0
    for k in range(at.size):
        if at[k] >= 0:
            taken[at[k]] = TAKEN


@fused
def product_at(neuron, errors, at, k):
    """S w at the input of cell k for the cells before it, as `begin` finds it on its way."""
    moments, x, total = errors.moments, at[k], errors.moments.dtype.type(0)
    for other in range(k):
        if at[other] >= 0:
            total += neuron.cells[other] * moments[at[other], x]
    return total


@inlined
def sums_at(neuron, errors, a, q, at):
    """a and q as `begin` returns them."""
    for k in range(neuron.cells.size):
        x = at[k]
        if x >= 0:
            h, product = neuron.cells[k], product_at(neuron, errors, at, k)
            a += h * errors.linear[x]
            q += h * (product + product + h * errors.diagonal[x]) + neuron.noise[k] * errors.power[x]
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
    note_places(errors, at, work)
    for _ in range(PASSES * size):
        if idle == size:
            break
        now = score(a, q, neuron.low, neuron.high) + least
        best, kind, arg = move_alone(neuron, errors, a, q, k, at, work, now, least)
        note_row(errors, at, at[k], work.near)
        if pair_reaches(best, a, q, k, work.near, neuron.low, neuron.high):
            best, kind, arg = move_pair(neuron, errors, a, q, k, at, work.product, best, kind, arg)
        idle += 1
        if kind:
            idle = 0
            a, q = make_move(kind, k, arg, neuron, errors, a, q, at, work)
            note_places(errors, at, work)
        k = k + 1 if k + 1 < size else 0
    return a, q


@inlined
def move_alone(neuron, errors, a, q, k, at, work, best, least):
    """The best move of cell k alone if it reaches more than `best`: what it reaches, its kind (0 none), the input."""
    kind, arg, h, v, p = 0, -1, neuron.cells[k], neuron.noise[k], at[k]
    if p < 0:
        if may_reach(best, least, h, a, q, neuron, errors, work.nothing, work):
            x, reach = best_empty(h, v, a, q, neuron, errors, work.nothing, work)
            if reach > best:
                best, kind, arg = reach, MOVE, x
    elif not errors.required[p]:
        a1 = a - h * errors.linear[p]
        q1 = q - h * (work.product[p] + work.product[p] - h * errors.diagonal[p]) - v * errors.power[p]
        reach = score(a1, q1, neuron.low, neuron.high)
        if reach > best:
            best, kind = reach, LEAVE
        if may_reach(best, least, h, a1, q1, neuron, errors, errors.moments[p], work):
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
