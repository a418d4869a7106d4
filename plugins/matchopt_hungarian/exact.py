"""Shortest augmenting paths over Python's integers: exact at any size, and slow."""

from heapq import heappop, heappush

import numpy as np

from matchopt import AssignmentInstance


def shortest_paths(instance: AssignmentInstance) -> np.ndarray | None:
    """The optimal columns of an integral instance, or None where a row cannot be placed.

    Rows are placed one at a time along a shortest alternating path under reduced costs (Dijkstra with potentials;
    N. Tomizawa, Networks 1 (1971), doi:10.1002/net.3230010206).
    """
    adjacent = [dict(zip(*(part.tolist() for part in instance.row(i)), strict=True)) for i in range(instance.n_rows)]
    price = [0] * instance.n_cols  # falls only, and only on taken columns, so free ones may stay free
    row_of: dict[int, int] = {}
    col_of = [-1] * instance.n_rows
    for start in range(instance.n_rows):
        found = _path(start, adjacent, price, row_of)
        if found is None:
            return None
        column, before = found
        row = -1
        while row != start:
            row = before[column]
            row_of[column] = row
            col_of[row], column = column, col_of[row]
    return np.array(col_of, dtype=np.int64)


def _path(
    start: int, adjacent: list[dict[int, int]], price: list[int], row_of: dict[int, int]
) -> tuple[int, dict[int, int]] | None:
    """The free column nearest to `start` and the row before every column; prices are lowered accordingly."""
    distance: dict[int, int] = {}
    before: dict[int, int] = {}
    done: set[int] = set()
    heap: list[tuple[int, int]] = []
    row, length, dual = start, 0, 0  # dual: cost - price of the row's own column, 0 for `start`, which has none
    while True:
        for column, cost in adjacent[row].items():
            reach = length - dual + cost - price[column]
            if column not in done and (column not in distance or reach < distance[column]):
                distance[column], before[column] = reach, row
                heappush(heap, (reach, column))
        while heap and heap[0][1] in done:
            heappop(heap)
        if not heap:
            return None
        length, column = heappop(heap)
        done.add(column)
        if column not in row_of:
            break
        row = row_of[column]
        dual = adjacent[row][column] - price[column]
    for reached in done:
        price[reached] -= length - distance[reached]
    return column, before
