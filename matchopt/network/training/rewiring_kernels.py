"""The compiled half of DEEP R and soft-DEEP R: one step of all connections, and what dormant sites do.

Dormant sites are kept in a list per layer, `free[first_site[layer] :]`, of which the first `n_free[layer]` entries
count: drawing one is immediate however full the layer is, where trying sites at random would take ever longer.

Of soft-DEEP R, `theta` holds one parameter per site, layer by layer in the order of the dense weights; a site is active
where theta >= 0. The list of connections holds the active sites in ascending order; its arrays have room for all sites,
of which the first `first_connection[-1]` entries count (in `values` followed by the biases).
"""

import numpy as np

from matchopt.kernels.compiling import reordered


@reordered
def descend(
    values, gradient, noise, sign, source, target, first_connection, first_unit, first_site, free, n_free, rate, shrink,
    ended,
):  # fmt: skip
    """Step of algorithm 1 for every connection; returns how many went dormant, and their places in `ended`."""
    layers = first_connection.size - 1
    count = 0
    for layer in range(layers):
        inputs = first_unit[layer + 1] - first_unit[layer]
        for k in range(first_connection[layer], first_connection[layer + 1]):
            theta = sign[k] * (values[k] - rate * gradient[k]) - shrink + noise[k]
            if theta >= np.float32(0):
                values[k] = sign[k] * theta
            else:
                site = (target[k] - first_unit[layer + 1]) * inputs + source[k] - first_unit[layer]
                free[first_site[layer] + n_free[layer]] = site
                n_free[layer] += 1
                ended[count] = k
                count += 1
    for k in range(first_connection[layers], values.size):
        values[k] -= rate * gradient[k]
    return count


@reordered
def reactivate(
    values, sign, source, target, first_connection, first_unit, first_site, free, n_free, sign_of_site, ended, draws
):
    """Give every ended connection a dormant site of its layer, uniform by `draws` in 0 .. 1, and theta = 0."""
    layer = 0
    for e in range(ended.size):
        k = ended[e]
        while k >= first_connection[layer + 1]:
            layer += 1
        chosen = first_site[layer] + int(draws[e] * n_free[layer])
        site = free[chosen]
        n_free[layer] -= 1
        free[chosen] = free[first_site[layer] + n_free[layer]]
        inputs = first_unit[layer + 1] - first_unit[layer]
        target[k] = first_unit[layer + 1] + site // inputs
        source[k] = first_unit[layer] + site % inputs
        sign[k] = sign_of_site[first_site[layer] + site]
        values[k] = np.float32(0)


@reordered
def draw_dormant(free, n_free, ended, draws, chosen):
    """Put the sites of `ended` on the list of dormant ones, and take distinct ones from it, one for each of `draws`."""
    for e in range(ended.size):
        free[n_free + e] = ended[e]
    n_free += ended.size
    for e in range(draws.size):
        at = int(draws[e] * n_free)
        chosen[e] = free[at]
        n_free -= 1
        free[at] = free[n_free]


@reordered
def descend_active(
    values, gradient, noise, theta, sign_of_site, source, target, first_connection, first_unit, first_site, rate, shrink
):
    """Step of all active parameters and the biases; what falls below zero leaves the list, which stays in order."""
    layers = first_connection.size - 1
    before, after = first_connection[layers], 0
    begin = 0
    for layer in range(layers):
        inputs = first_unit[layer + 1] - first_unit[layer]
        end = first_connection[layer + 1]
        for k in range(begin, end):
            site = first_site[layer] + (target[k] - first_unit[layer + 1]) * inputs + source[k] - first_unit[layer]
            theta[site] += noise[k] - shrink - rate * sign_of_site[site] * gradient[k]
            if theta[site] >= np.float32(0):
                values[after] = sign_of_site[site] * theta[site]
                source[after], target[after] = source[k], target[k]
                after += 1
        begin = end
        first_connection[layer + 1] = after
    for unit in range(first_unit[layers + 1] - first_unit[1]):  # moves down, so nothing is overwritten unread
        values[after + unit] = values[before + unit] - rate * gradient[before + unit]


@reordered
def diffuse_dormant(theta, noise, lowest, first_site):
    """Step of all dormant parameters, none below its layer's `lowest`; returns how many became active."""
    count = 0
    for layer in range(lowest.size):
        for site in range(first_site[layer], first_site[layer + 1]):
            if theta[site] < np.float32(0):
                theta[site] = max(theta[site] + noise[site], lowest[layer])
                if theta[site] >= np.float32(0):
                    count += 1
    return count


@reordered
def list_active(values, theta, sign_of_site, source, target, first_connection, first_unit, first_site, biases):
    """Make the list of connections anew from the parameters; `biases` is scratch space for as many numbers."""
    layers = first_connection.size - 1
    biases[:] = values[first_connection[layers] : first_connection[layers] + biases.size]
    count = 0
    for layer in range(layers):
        site = first_site[layer]
        for unit in range(first_unit[layer + 1], first_unit[layer + 2]):
            for before in range(first_unit[layer], first_unit[layer + 1]):
                if theta[site] >= np.float32(0):
                    values[count] = sign_of_site[site] * theta[site]
                    source[count], target[count] = before, unit
                    count += 1
                site += 1
        first_connection[layer + 1] = count
    values[count : count + biases.size] = biases
