"""Local search for the inputs that the cells of a hardware neuron listen to, under a quadratic cost.

With w the placed weights of a row, score = max over u in [low, high] of 2 u a - u^2 q is to be made large, where
a = a0 + linear.w and q = q0 + w^T S w + noise. A move changes a and q by a few terms of the product S w, so judging one
costs O(1); making one updates S w in O(inputs). Moves: a cell leaves its input, moves to an empty one, changes places
with another cell, takes the place of a used cell, or yields its own to an unused one.

All floats of a call have one type, single or double. `errors` is (moments S, its diagonal, power = what
multiplies read noise, linear, required inputs).
"""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiled import compiled, inlined, quick

LEAVE, MOVE, EXCHANGE, TAKE, YIELD = 1, 2, 3, 4, 5
TAKEN = 1e30  # keeps a scan away from inputs that a cell listens to already
SMALL = 1e-30  # in place of a vanishing q
PASSES = 60  # most rounds over the cells of one descent


@inlined
@no_type_check
def score(a, q, low, high):
    """Max over u in [low, high] of 2 u a - u^2 q."""
    u = best_scale(a, q, low, high)
    return u * (a + a - u * q)


@inlined
@no_type_check
def best_scale(a, q, low, high):
    """The u of the maximum."""
    if low == high:
        return low
    return min(max(a / max(q, type(q)(SMALL)), low), high)


@quick
@no_type_check
def best_empty(h, v, a, q, low, high, errors, product, row, taken, found):
    """The best empty input for a cell of weight h and noise v, and the score it leads to.

    a and q are without the cell; `product` is S w with it, and `row` the row of S where it was (zeros if nowhere).
    """
    _, diagonal, power, linear, _ = errors
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
@no_type_check
def add_row(product, factor, row):
    """product += factor * row."""
    for x in range(product.size):
        product[x] += factor * row[x]


@compiled
@no_type_check
def begin(cells, noise, errors, a0, q0, at, product, taken):
    """Set S w and the taken inputs for cells placed `at` (input, or -1); returns a and q."""
    product[:] = 0
    taken[:] = 0
    a, q = a0, q0
    for k in range(cells.size):
        if at[k] >= 0:
            taken[at[k]] = TAKEN
            a, q = change(cells[k], noise[k], at[k], errors, a, q, product)
    return a, q


@inlined
@no_type_check
def change(h, v, x, errors, a, q, product):
    """Add h to the weight on input x, and v to its noise; returns a and q."""
    moments, diagonal, power, linear, _ = errors
    a += h * linear[x]
    q += h * (product[x] + product[x] + h * diagonal[x]) + v * power[x]
    add_row(product, h, moments[x])
    return a, q


@compiled
@no_type_check
def descend(cells, noise, errors, low, high, a, q, least, at, product, taken, found, nothing):
    """Improve `at` until no move gains more than `least`; returns a and q."""
    idle, k = 0, 0
    for _ in range(PASSES * cells.size):
        if idle == cells.size:
            break
        now = score(a, q, low, high) + least
        best, kind, arg = move_alone(cells, noise, errors, low, high, a, q, k, at, product, taken, found, nothing, now)
        best, kind, arg = move_pair(cells, noise, errors, low, high, a, q, k, at, product, best, kind, arg)
        idle += 1
        if kind:
            idle = 0
            a, q = make_move(kind, k, arg, cells, noise, errors, a, q, at, product, taken)
        k = k + 1 if k + 1 < cells.size else 0
    return a, q


@inlined
@no_type_check
def move_alone(cells, noise, errors, low, high, a, q, k, at, product, taken, found, nothing, best):
    """The best move of cell k alone if it reaches more than `best`: what it reaches, its kind (0 none), the input."""
    moments, diagonal, power, linear, required = errors
    kind, arg, h, v, p = 0, -1, cells[k], noise[k], at[k]
    if p < 0:
        x, reach = best_empty(h, v, a, q, low, high, errors, product, nothing, taken, found)
        if reach > best:
            best, kind, arg = reach, MOVE, x
    elif not required[p]:
        a1 = a - h * linear[p]
        q1 = q - h * (product[p] + product[p] - h * diagonal[p]) - v * power[p]
        reach = score(a1, q1, low, high)
        if reach > best:
            best, kind = reach, LEAVE
        x, reach = best_empty(h, v, a1, q1, low, high, errors, product, moments[p], taken, found)
        if reach > best:
            best, kind, arg = reach, MOVE, x
    return best, kind, arg


@inlined
@no_type_check
def move_pair(cells, noise, errors, low, high, a, q, k, at, product, best, kind, arg):
    """The same for moves of cell k and another one; `arg` is the other cell."""
    moments, diagonal, power, linear, _ = errors
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
@no_type_check
def make_move(kind, k, arg, cells, noise, errors, a, q, at, product, taken):
    """Make a move; returns the new a and q."""
    p = at[k]
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
        taken[p] = 0
    at[k] = arg
    if arg >= 0:
        a, q = change(cells[k], noise[k], arg, errors, a, q, product)
        taken[arg] = TAKEN
    return a, q


@inlined
@no_type_check
def draw(state, below):
    """A number in 0 .. below - 1; state[0] is the state of the generator (G. Marsaglia, "Xorshift RNGs", 2003)."""
    s = state[0]
    s ^= s << np.uint32(13)
    s ^= s >> np.uint32(17)
    s ^= s << np.uint32(5)
    state[0] = s
    return int(s % np.uint32(below))


@inlined
@no_type_check
def kick(at, required, taken, state):
    """Exchange two cells, send one to a random empty input and one nowhere; required inputs stay heard."""
    k, other = draw(state, at.size), draw(state, at.size)
    at[k], at[other] = at[other], at[k]
    k, x = draw(state, at.size), draw(state, taken.size)
    if taken[x] == 0 and (at[k] < 0 or not required[at[k]]):
        at[k] = x
    k = draw(state, at.size)
    if at[k] >= 0 and not required[at[k]]:
        at[k] = -1


@compiled
@no_type_check
def improve(cells, noise, errors, low, high, a0, q0, least, kicks, seed, at, work):
    """Descend, then kick and descend again `kicks` times, keeping the best; returns its score and scale.

    The score is computed anew from the final places, so no rounding of the moves is left in it.
    """
    product, taken, found, nothing, trial = work
    trial = trial[: cells.size]
    a, q = begin(cells, noise, errors, a0, q0, at, product, taken)
    descend(cells, noise, errors, low, high, a, q, least, at, product, taken, found, nothing)
    a, q = begin(cells, noise, errors, a0, q0, at, product, taken)
    best = score(a, q, low, high)
    state = np.full(1, seed * 2654435761 + 1, np.int64).astype(np.uint32) | np.uint32(1)
    for _ in range(kicks if cells.size and product.size else 0):
        trial[:] = at
        begin(cells, noise, errors, a0, q0, at, product, taken)
        kick(trial, errors[4], taken, state)
        b, r = begin(cells, noise, errors, a0, q0, trial, product, taken)
        descend(cells, noise, errors, low, high, b, r, least, trial, product, taken, found, nothing)
        b, r = begin(cells, noise, errors, a0, q0, trial, product, taken)
        reach = score(b, r, low, high)
        if reach > best + least:
            best, a, q = reach, b, r
            at[:] = trial
    return best, best_scale(a, q, low, high)


@compiled
@no_type_check
def workspace(n_inputs, n_cells, like):
    """Scratch of `improve`: two products' worth of inputs, what a scan found, zeros, places."""
    return (
        np.empty(n_inputs, like.dtype), np.empty(n_inputs, like.dtype), np.empty(n_inputs, like.dtype),
        np.zeros(n_inputs, like.dtype), np.empty(n_cells, np.int32),
    )  # fmt: skip


@compiled
@no_type_check
def own_errors(i, inputs, problem, local):
    """The errors of row i, on its own inputs only unless `inputs` has no columns; `local` numbers them from 0."""
    moments, diagonal, power, linear, _, required, _, _ = problem
    if inputs.shape[1] == 0:
        for x in range(local.size):
            local[x] = x
        needed = required[i] if required.size else np.zeros(local.size, np.bool_)
        return moments, diagonal, power, linear[i], needed
    local[:] = -1
    n = 0
    while n < inputs.shape[1] and inputs[i, n] >= 0:
        local[inputs[i, n]] = n
        n += 1
    own, across = np.empty((n, n), moments.dtype), np.empty(n, moments.dtype)
    strength, line = np.empty(n, moments.dtype), np.empty(n, moments.dtype)
    needed = np.zeros(n, np.bool_)
    for x in range(n):
        line[x], across[x], strength[x] = linear[i, inputs[i, x]], diagonal[inputs[i, x]], power[inputs[i, x]]
        needed[x] = required.size > 0 and required[i, inputs[i, x]]
        for y in range(n):
            own[x, y] = moments[inputs[i, x], inputs[i, y]]
    return own, across, strength, line, needed


@compiled
@no_type_check
def first_places(at, count, ranked, falling, local):
    """Place what a row requires, `ranked` rising by target weight, on rising cells: the negative on the lowest."""
    at[:] = -1
    n = 0
    while n < ranked.size and ranked[n] >= 0:
        n += 1
    if n > count:
        return False
    for r in range(n):
        at[r if r < falling else count - n + r] = local[ranked[r]]
    return True


@compiled
@no_type_check
def place_all(rows, neurons, chip, problem, inputs, ranges, least, cost):
    """Fill `cost` for the given rows and the neurons listed for each (-1 ends a list): see `CellPlacement.costs`."""
    cells, noise, count = chip
    moments, _, _, linear, constant, _, ranked, falling = problem
    low, high, pull, around = ranges
    local, places = np.empty(linear.shape[1], np.int32), np.empty(cells.shape[1], np.int32)
    for i in rows:
        errors = own_errors(i, inputs, problem, local)
        work = workspace(errors[3].size, cells.shape[1], moments)
        q0 = pull * constant[i]
        a0 = q0 * around
        for t in range(neurons.shape[1]):
            j = neurons[i, t]
            if j < 0:
                break
            at = places[: count[j]]
            if first_places(at, count[j], ranked[i], falling[i], local):
                reach, _ = improve(
                    cells[j, : count[j]], noise[j, : count[j]], errors, low, high, a0, q0, least * constant[i], 0, 0,
                    at, work,
                )  # fmt: skip
                cost[i, j] = constant[i] + a0 * around - reach


@compiled
@no_type_check
def place_rows(rows, neuron_of, chip, problem, inputs, ranges, least, kicks, seed, fresh, places, scale, cost):
    """Improve the places of the given rows on their neurons: see `CellPlacement.improve`."""
    cells, noise, count = chip
    moments, _, _, linear, constant, _, ranked, falling = problem
    low, high, pull, around = ranges
    local, near = np.empty(linear.shape[1], np.int32), np.empty(cells.shape[1], np.int32)
    for i in rows:
        errors = own_errors(i, inputs, problem, local)
        work = workspace(errors[3].size, cells.shape[1], moments)
        j = neuron_of[i]
        at = near[: count[j]]
        cost[i] = np.inf
        if fresh and not first_places(at, count[j], ranked[i], falling[i], local):
            continue
        if not fresh:
            for k in range(count[j]):
                at[k] = local[places[i, k]] if places[i, k] >= 0 else -1
        q0 = pull * constant[i]
        a0 = q0 * around
        reach, scale[i] = improve(
            cells[j, : count[j]], noise[j, : count[j]], errors, low, high, a0, q0, least * constant[i], kicks,
            seed + i, at, work,
        )  # fmt: skip
        cost[i] = constant[i] + a0 * around - reach
        places[i, :] = -1
        for k in range(count[j]):
            if at[k] >= 0:
                places[i, k] = inputs[i, at[k]] if inputs.shape[1] else at[k]
