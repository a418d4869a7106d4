"""Layers on tiles: rows and inputs are shared out over arrays of a chip, which have lines of their own."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, Limit, Limits, NonNegativeInt, PositiveInt, Result, Solver
from matchopt_parts.layer import UNDERSTOOD as FREE
from matchopt_parts.layer import nothing_wired, refusal

MOST_ENTRIES = 2**26  # of rows times gains times inputs


@dataclass(frozen=True)
class TilesCover(Solver):
    """Dense blocks of the target go on tiles, whose rows and lines are annealed; then connections are dealt anew.

    Neurons on one bus are a tile. Tiles are filled one by one, those with most lines in use first, with the parts of
    rows and the inputs that carry most squared weight not served yet; a row has a part for each gain that its
    connections want, so negative weights may be served by positive cells. On each tile rows and lines are annealed as
    on a crossbar. Every connection then takes the best of its row's cells on its input's lines, and tiles are annealed
    again for what they serve. What cells leak on lines driven for other rows counts in the annealing of a tile, and
    between mappings, not when connections are dealt; where they may be dropped, lines that cost more by what leaks
    there than they serve are left alone in the end.

    Parameters
    ----------
    scans : scans of all swaps of rows and of lines for each annealing of a tile.
    passes : how often all tiles are annealed again, >= 0.
    """

    name = "tiles-cover"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = FREE - {"gain-interval"} | {"shared-bus", "several-neurons"}

    scans: PositiveInt = 300
    passes: NonNegativeInt = 2

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        gains = len(instance.rules.gains.values or "1")
        if 0.0 in (instance.rules.gains.values or ()):
            return "a gain of 0 serves nothing; leave it out"
        if instance.n_rows * gains * instance.target.n_inputs > MOST_ENTRIES:
            return f"it has more than {MOST_ENTRIES} pairs of rows and inputs"
        return refusal(instance)

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_parts.tiles_cover import best_gains, cover
        from matchopt_parts.tiles_search import Tiles

        every = np.arange(instance.target.n_connections)
        search = Tiles(instance, cover(instance, every, best_gains(instance)))
        for b in range(len(search.blocks)):
            search.place(b, self.scans, rng)
        best = search.mapping()
        least = np.inf if best is None else instance.value(best)
        nothing = nothing_wired(instance)
        if instance.rules.drop and instance.value(nothing) < least:
            best, least = nothing, instance.value(nothing)
        if best is not None:
            limits.report(best)
        done = 0
        for _ in limits.steps(self.passes):
            search.improve(self.scans, limits, rng)
            found = search.mapping()
            done += 1
            if found is not None and instance.value(found) < least:
                best, least = found, instance.value(found)
                limits.report(best)
        message = "" if best is not None else "the tiles found no place for every row and connection; allow drops"
        stopped = limits.reached() or (Limit.ITERATION if done < self.passes else None)
        served = {"tiles": len(search.blocks), "parts": int(sum(len(block.rows) for block in search.blocks))}
        return Result(best, limit=stopped, stats={"passes": done, **served}, message=message)
