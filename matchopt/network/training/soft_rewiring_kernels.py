"""The compiled half of soft-DEEP R: every site keeps its parameter, active ones descend, dormant ones diffuse.

`theta` holds one parameter per site, layer by layer in the order of the dense weights; a site is active where
theta >= 0. The list of connections holds the active sites in ascending order; its arrays have room for all sites, of
which the first `first_connection[-1]` entries count (in `values` followed by the biases).
"""

from typing import no_type_check

import numpy as np

from matchopt.network.training.connection_kernels import compiled


@compiled
@no_type_check  # the compiler types it, from its arguments
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


@compiled
@no_type_check  # the compiler types it, from its arguments
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


@compiled
@no_type_check  # the compiler types it, from its arguments
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
