"""The compiled half of slot machines: which of its fixed values a connection takes, from one number per connection.

Every connection has lines over one axis, that of its latent; each line belongs to a fixed value, which is its slope,
and the highest line decides. `slopes` of the lines that are highest somewhere and the `breaks` between them are kept
in ascending order, one row per connection, or one row for all of them; rows are filled up with the last slope and
breaks at infinity.

Scores, on the other hand, are kept value by value (values x connections), as are their fixed values (values x
connections, or values x 1), so that all loops run along memory.
"""

import numpy as np

from matchopt.kernels.compiling import reordered


@reordered
def nearest_breaks(slopes, breaks):
    """Breaks half way between neighbouring slopes, which are sorted here, so that the nearest one is taken."""
    for i in range(slopes.shape[0]):
        slopes[i].sort()
        for k in range(slopes.shape[1] - 1):
            breaks[i, k] = np.float32(0.5) * (slopes[i, k] + slopes[i, k + 1])


@reordered
def envelope(values, scores, slopes, breaks):
    """Upper envelope of the lines scores[i, k] + latent * values[i, k], with the slopes ascending."""
    lines = values.shape[1]
    height = np.empty(lines, np.float64)
    for i in range(slopes.shape[0]):
        row = values[i if values.shape[0] > 1 else 0]
        count = 0
        for k in np.argsort(row):
            slope, start = np.float64(row[k]), np.float64(scores[i, k])
            if count and slopes[i, count - 1] == row[k]:  # parallel: the higher one stays
                if start <= height[count - 1]:
                    continue
                count -= 1
            while count:
                place = (height[count - 1] - start) / (slope - np.float64(slopes[i, count - 1]))
                if count == 1 or place > breaks[i, count - 2]:
                    breaks[i, count - 1] = place
                    break
                count -= 1
            slopes[i, count], height[count] = row[k], start
            count += 1
        for k in range(count, lines):
            slopes[i, k] = slopes[i, count - 1]
            breaks[i, k - 1] = np.inf


@reordered
def take(latent, slopes, breaks, factor, low, high, weights):
    """Give every connection the value that its latent says, with all breaks times `factor`.

    `low` and `high` are the breaks around the value taken last: only connections whose latent left that interval are
    looked at.
    """
    last = slopes.shape[1] - 1
    for i in range(latent.size):
        u = latent[i]
        if not (u >= factor * low[i] and u < factor * high[i]):
            row = i if slopes.shape[0] > 1 else 0
            k = 0
            while k < last and u >= factor * breaks[row, k]:
                k += 1
            weights[i] = slopes[row, k]
            low[i] = breaks[row, k - 1] if k > 0 else -np.inf
            high[i] = breaks[row, k] if k < last else np.inf


@reordered
def take_highest(scores, begin, values, best, weights):
    """Give connections `begin` and on the value of their highest score, of equal ones the first.

    `best` becomes that score; it and `weights` have one entry for each of these connections.
    """
    step = 0 if values.shape[1] == 1 else 1
    for i in range(weights.size):
        best[i], weights[i] = scores[0, begin + i], values[0, step * i]
    for k in range(1, scores.shape[0]):
        row, own = scores[k, begin : begin + weights.size], values[k]
        for i in range(weights.size):
            score, value = row[i], own[step * i]  # read in any case, which lets the loop fill vector registers
            top, before = best[i], weights[i]
            higher = score > top
            weights[i] = value if higher else before
            best[i] = score if higher else top


@reordered
def take_drawn(masses, begin, values, chances, weights):
    """Give connections `begin` and on one of their values each, with probabilities in proportion to `masses`.

    `chances` are uniform in 0 .. 1, one per connection; they are used up.
    """
    step = 0 if values.shape[1] == 1 else 1
    weights[:] = np.float32(0)
    for k in range(masses.shape[0]):
        row = masses[k, begin : begin + weights.size]
        for i in range(weights.size):
            weights[i] += row[i]
    for i in range(weights.size):
        chances[i] *= weights[i]
        weights[i] = values[0, step * i]
    for k in range(1, masses.shape[0]):
        row, own = masses[k - 1, begin : begin + weights.size], values[k]
        for i in range(weights.size):
            left, value, before = chances[i] - row[i], own[step * i], weights[i]
            chances[i] = left
            weights[i] = value if left >= np.float32(0) else before
