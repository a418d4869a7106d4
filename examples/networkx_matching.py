"""NetworkX's matching as a solver of matchopt: Edmonds' blossoms in Python, for small assignments."""

import networkx

import matchopt


def matched(costs):
    """The column of every row, by a matching of largest weight among those with most edges."""
    rows, columns = costs.shape
    graph = networkx.Graph()
    graph.add_weighted_edges_from((i, rows + j, -costs[i, j]) for i in range(rows) for j in range(columns))
    partner = dict(map(sorted, networkx.max_weight_matching(graph, maxcardinality=True)))
    return [partner[i] - rows for i in range(rows)]


register_solvers = matchopt.registering(matchopt.function_solver("networkx", matched, needs=["networkx"]))
