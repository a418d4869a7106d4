"""What check_proof.py needs for proof files of the second form: layers whose rows are more than single cells each.

Shares nothing with matchopt, needs Python 3.11 alone, and computes exactly. A layer's bound follows from potentials of
rows and neurons, a search through all ways to place rows, or a unit that all cells are multiples of (docs/proofs.md).
"""

import math
from collections import Counter
from fractions import Fraction
from functools import lru_cache
from itertools import chain, combinations, pairwise, product

CHIP = {"variance": 0, "usable": 1, "off": 0, "input": -1, "low": math.nan, "high": math.nan, "write_variance": 0}
RULES = {"cells_per_weight": 1, "neurons_per_row": 1, "copies": 1, "tunable": 0, "drop": False, "extra_inputs": False}
KNOWN = {*CHIP, *RULES, *"n_inputs rules objective origin gains weights bus neuron measured levels".split()}
KNOWN |= {*"level_variance indptr indices importance".split()}
NONE, INF = frozenset(), math.inf


def need(holds, reason):
    if not holds:
        raise ValueError(reason)


def assigned(costs, n):
    """The least sum of a cost from each row, no two from one of n columns (H. W. Kuhn, 1955); inf for none."""
    huge = 1 + sum(max((x for x in row if x < INF), default=0) for row in costs)
    u, v, row_of, way = [0] * (len(costs) + 1), [0] * (n + 1), [0] * (n + 1), [0] * (n + 1)
    for i in range(1, len(costs) + 1) if len(costs) <= n else ():
        row_of[0], j, least, done = i, 0, [INF] * (n + 1), []
        while row_of[j]:
            row, done = row_of[j], [*done, j]
            left = [k for k in range(1, n + 1) if k not in done]
            for k in left:
                cost = min(costs[row - 1][k - 1], huge) - u[row] - v[k]
                least[k], way[k] = min((least[k], way[k]), (cost, j))
            step, j = min((least[k], k) for k in left)
            for k in done:
                u[row_of[k]], v[k] = u[row_of[k]] + step, v[k] - step
            least = [x - step for x in least]
        while j:
            row_of[j], j = row_of[way[j]], way[j]
    return sum(costs[i - 1][j] for j, i in enumerate(row_of[1:]) if i) if len(costs) <= n else INF


def apart(tables, goal, paid=0, taken=NONE):
    """The least sum of a cost from each table, no cell taken twice; the goal where it is no less."""
    if not tables or paid + sum(table[0][0] for table in tables) >= goal:
        return goal if tables else min(paid, goal)
    for cost, cells in tables[0]:
        goal = goal if cells & taken else apart(tables[1:], goal, paid + cost, taken | cells)
    return goal


def placed(options, goal=INF):
    """The least that inputs cost, no cell taken twice, where that is below the goal; options are {cells: cost}."""
    total = sum(min(some.values(), default=INF) for some in options.values())
    if total >= goal:
        return total
    if max((len(cells) for some in options.values() for cells in some), default=0) > 1:
        tables = [sorted([(c, z) for z, c in some.items()], key=lambda pair: pair[0]) for some in options.values()]
        return apart(sorted(tables, key=len), goal)
    places, some = [*{cells for some in options.values() for cells in some if cells}], [*options.values()]
    rows = [[own.get(cells, INF) for cells in places] for own in some]
    rows = [row + [own.get(NONE, INF) if own is one else INF for one in some] for row, own in zip(rows, some)]
    return assigned(rows, len(places) + len(rows))


def merged(one, two):
    """The options of inputs of two rows on one bus: where both have an input, a line's costs add up."""
    both = {x: {z: c + two[x][z] for z, c in one[x].items() if z in two[x]} for x in one if x in two}
    return {**one, **two, **both}


class Layer:
    """A layer, in whole numbers: gains and cells are times 2**e, what connections get 2**2e c, and costs 2**5e c**2."""

    def __init__(self, facts, arrays, numbers):
        (_, moments), self.rules = arrays.get("objective.second_moments", (0, ())), RULES | facts["rules"]
        target = {name[7:]: some for name, (_, some) in arrays.items() if name.startswith("target.")}
        chip = {name[9:]: some for name, (_, some) in arrays.items() if name.startswith("hardware.")}
        need({*facts, *self.rules, *chip, *target} <= KNOWN, "the layer has rules, or cells, that are unknown here")
        (self.n_neurons, self.n_cells), n, gains = arrays["hardware.weights"][0], facts["n_inputs"], self.rules["gains"]
        plain = facts["objective"] == ("output-error" if moments else "weight-error")
        need(plain and not any(x for at, x in enumerate(moments) if at % (n + 1)), "the objective is unknown here")
        self.span, self.most = not isinstance(gains, list), max(self.rules["neurons_per_row"], self.rules["copies"])
        gains, real = [gains[n] for n in ("low", "high")] if self.span else gains, (s for _, s in arrays.values())
        self.e = max(x.as_integer_ratio()[1].bit_length() - 1 for x in chain(numbers, gains, *real) if x == x)
        self.c, self.gains = math.lcm(*range(1, self.rules["copies"] + 1)), [self.whole(g) for g in gains]
        chip = {name: [value] * self.n_neurons * self.n_cells for name, value in CHIP.items()} | chip
        self.wired, self.off, self.every = chip["input"], [self.whole(x) for x in chip["off"]], range(self.n_neurons)
        self.bus, self.hard = chip.get("bus", self.every), max(self.wired, default=-1) >= 0
        self.shared = len({*self.bus}) < self.n_neurons and not self.hard
        need(not ((self.shared and any(self.off)) or (self.hard and min(self.wired) < 0)), "such lines are unknown")
        levels, self.states = chip.get("levels", ()), []  # of each cell: from, to, variance
        spread, depth = chip.get("level_variance", [0] * len(levels)), len(levels) // max(1, len(self.off))
        for at, h in enumerate(chip["weights"]):
            own = [(h, h, chip["variance"][at]), (chip["low"][at], chip["high"][at], chip["write_variance"][at])]
            own += [(levels[k], levels[k], spread[k]) for k in range(at * depth, (at + 1) * depth)]
            self.states.append([[*map(self.whole, z)] for z in own if chip["usable"][at] and z[0] == z[0]])
        counts, inputs = (moments[:: n + 1] if moments else [1] * n), target["indices"]
        factors = [counts[x] for x in inputs] if moments else target.get("importance", [1] * len(inputs))
        each = [*zip(inputs, [self.whole(a) * self.c << self.e for a in target["weights"]], map(self.whole, factors))]
        self.tunable, self.unit = min(self.rules["tunable"], len(inputs)), (1 << 5 * self.e) * self.c**2
        silent = {x: (0, self.whole(q), True) for x, q in enumerate(counts)} if self.hard else {}  # read all the same
        self.rows = [silent | {x: (a, q, False) for x, a, q in each[a:b]} for a, b in pairwise(target["indptr"])]

    def whole(self, x, times=1):
        return (x.as_integer_ratio()[0] << self.e * times) // x.as_integer_ratio()[1]

    @lru_cache(4096)  # noqa: B019 - a layer lives as long as the program
    def menu(self, chosen, gains, x, silent):
        """What a connection can have on neurons at gains: values from, to, noise, and the cells, (place, cell)."""
        rules, found, some, base = self.rules, [], [], 0
        for n, (j, g) in enumerate(zip(chosen, gains)):
            g, own = g * (self.c // len(chosen) if rules["copies"] > 1 else self.c), []
            for k, at in enumerate(range(j * self.n_cells, (j + 1) * self.n_cells)):
                if self.wired[at] in (-1, x):
                    off = self.off[at] if self.hard else 0  # of lines that are driven, whoever listens
                    ends = [(*sorted((g * (low - off), g * (high - off))), y) for low, high, y in self.states[at]]
                    own.append([(low, high, g * g * y << self.e, (n, k)) for low, high, y in ends])
                    base += g * off
            sizes = range(1 if silent and not rules["extra_inputs"] else rules["cells_per_weight"] + 1)
            some.append([z for size in sizes for cells in combinations(own, size) for z in product(*cells)])
        for parts in product(*some):
            every, free = [z for part in parts for z in part], rules["drop"] or silent
            fits = all(parts) if rules["copies"] > 1 else every and len(every) <= rules["cells_per_weight"]
            if fits or (free and (rules["copies"] > 1 or not every)):
                low, high, noise = (sum(z[m] for z in every) for m in (0, 1, 2))
                found.append((base + low, base + high, noise, frozenset(z[3] for z in every)))
        return found

    def options(self, i, chosen, gains, goal=INF):
        """What the connections of a row can cost, by the cells they take; as many of them as reach the goal."""
        found, total = {}, 0
        for x, (a, q, silent) in self.rows[i].items():
            some = found[x] = {}
            for low, high, noise, cells in self.menu(chosen, gains, x * self.hard, silent):
                cost = q * (max(low - a, 0, a - high) ** 2 + noise)
                some[cells] = min(cost, some.get(cells, cost))
            total += min(some.values(), default=INF)
            if total >= goal:
                break
        return found

    def examine(self, line):
        """The exact value of the solution, the bound, and the input that each line carries."""
        wired, value, carried, kept = {(i, x): cells for i, x, cells in line["cells"]}, 0, {}, []
        for i, (row, used) in enumerate(zip(self.rows, line["used"], strict=True)):
            chosen, gains = tuple(j for j, _ in used), tuple(self.whole(g) for _, g in used)
            fit = all(self.gains[0] <= g <= self.gains[1] if self.span else g in self.gains for g in gains)
            need(fit and 0 < len(used) <= self.most and min(chosen) >= 0, "neurons, or gains, are not allowed")
            for x, (a, q, silent) in row.items():
                own = {*map(tuple, wired.pop((i, x), ()))}
                kept += [(chosen[n], k) for n, k in own]
                if [i, x] not in line["tuned"] or silent or own:
                    costs = [q * (max(low - a, 0, a - high) ** 2 + noise) for low, high, noise, cells in
                             self.menu(chosen, gains, x * self.hard, silent) if cells == own]  # fmt: skip
                    value += min(costs)  # there is none where the rules do not allow it
                for n, k in own:
                    need(carried.setdefault((self.bus[chosen[n]], k), x) == x, "a line carries two inputs")
        kept += [j for used in line["used"] for j, _ in used]
        need(not wired and len({*kept}) == len(kept), "a cell, or neuron, is used twice, or another input wired")
        most = max(Counter((bus, x) for (bus, _), x in carried.items()).values(), default=0)
        need(not self.shared or most <= self.rules["cells_per_weight"], "an input has too many lines")
        need(len(line["tuned"]) <= self.tunable and ("unit" in line or not self.tunable), "too much is tunable")
        by = self.lattice if "unit" in line else self.searched if "goal" in line else self.potentials
        return Fraction(value, self.unit), Fraction(by(line), self.unit), carried

    def potentials(self, line):
        """The sum of u and v, once they are seen to fit every row on every set of neurons."""
        u, v = ([self.whole(x, 5) * self.c**2 for x in line[name]] for name in ("rows", "columns"))
        need((len(u), len(v)) == (len(self.rows), self.n_neurons) and max(v, default=0) <= 0, "wrong potentials")
        need(not self.span or (self.most == 1 and self.gains[0] > 0 and not self.hard), "such gains are unknown here")
        for chosen in (some for n in range(1, self.most + 1) for some in combinations(self.every, n)):
            for i, own in enumerate(u):
                goal, ways = own + sum(v[j] for j in chosen), [*product(self.gains, repeat=len(chosen))]
                costs = [placed(self.options(i, chosen, gains, goal), goal) for gains in ways]
                need(min(costs) >= goal, f"row {i} costs less on {chosen}")
                if self.span and min(costs) < INF:
                    self.between(i, chosen, goal, *zip(self.gains, costs))
        return sum(u) + sum(v)

    def between(self, i, chosen, goal, low, high):
        """Between two gains, (gain, cost), the cost less that of no cells, over the gain, is above its chord."""
        nothing = sum(q * a * a for a, q, _ in self.rows[i].values())
        s, t = (Fraction(cost - nothing, g) for g, cost in (low, high))
        rise = (t - s) / max(1, high[0] - low[0])
        g = (low[0] * rise - s) / (2 * rise) if rise > 0 else low[0]
        if low[0] < g < high[0] and nothing + g * (s + (g - low[0]) * rise) < goal:
            cost = placed(self.options(i, chosen, (int(g),)))
            need(low[0] < int(g) and cost >= goal, f"row {i} costs less on {chosen}")
            self.between(i, chosen, goal, low, (int(g), cost))
            self.between(i, chosen, goal, (int(g), cost), high)

    def lattice(self, line):
        """What connections cost at least where all that cells add is a multiple of a unit, and the only gain is 1."""
        unit, every = self.whole(line["unit"]), [z for some in self.states for z in some]
        need(unit > 0 and self.gains == [1 << self.e], "gains are others than 1")
        need(not any(z[0] % unit or z[0] < z[1] for z in every) and not any(x % unit for x in self.off), "no multiples")
        noise = min((z[2] for z in every), default=0) * (not self.rules["drop"]) * self.c**2 << 3 * self.e
        each, step = [(a, q) for row in self.rows for a, q, silent in row.values() if not silent], unit << self.e
        least = sorted(q * (min(a % step, -a % step) ** 2 + noise // self.most) for a, q in each)
        return sum(least[: len(least) - self.tunable])

    def searched(self, line):
        """The goal, once no way to place rows on neurons costs less; inputs of a bus are on lines of their own."""
        need(self.most == self.rules["cells_per_weight"] == 1 and not (self.hard or self.span), "unknown in a search")
        goal, rows, lines = self.whole(line["goal"], 5), range(len(self.rows)), {}
        spots = [NONE, *(frozenset({(0, k)}) for k in range(self.n_cells))]
        for at in product(rows, self.every, self.gains):  # a cell that cannot serve may be passed over, where rows drop
            own = self.options(at[0], at[1:2], at[2:]).items()
            lines[at] = {x: {z: min(some.get(z, INF), some.get(NONE, INF)) for z in spots} for x, some in own}
        alone = [[min(placed(lines[i, j, g]) for g in self.gains) for j in self.every] for i in rows]
        order = sorted(rows, key=lambda i: -sum(a * a for a, *_ in self.rows[i].values()))

        def place(n, free, buses):
            rest, left = order[n:], goal - sum(map(placed, buses.values()))
            if left <= 0 or assigned([[alone[i][j] for j in free] for i in rest], len(free)) >= left:
                return
            need(rest, "rows can be placed at less than the goal")
            joint = buses.get(self.bus[0], {})
            for i in rest if len({*self.bus}) == 1 else ():  # all rest on it too, each connection on the best neuron
                ways = [lines[i, j, g] for j in free for g in self.gains]
                joint = merged(joint, {x: {z: min(w[x][z] for w in ways) for z in spots} for x in self.rows[i]})
            for j, g in product(free, self.gains) if placed(joint) < goal else ():
                bus = {self.bus[j]: merged(buses.get(self.bus[j], {}), lines[rest[0], j, g])}
                place(n + 1, [k for k in free if k != j], buses | bus)

        return place(0, [*self.every], {}) or goal


def solved(parts, facts, lines):
    """The exact value of the solution, and the bound: of layers, by (facts, arrays), that cost what they cost alone."""
    value, bound, before, width = Fraction(0), Fraction(0), {}, 0
    need(not facts.get("one_chip") and facts.get("tunable") is None, "what layers share is unknown here")
    for (own, arrays), line in zip(parts, lines, strict=True):
        numbers = [line.get("unit", 0), line.get("goal", 0), *line.get("rows", ()), *line.get("columns", ())]
        layer = Layer(own, arrays, [*numbers, *(g for used in line["used"] for _, g in used)])
        cost, least, carried = layer.examine(line)
        value, bound = value + cost, bound + least
        if facts.get("chained"):
            fits = all(before.get(x, k if k >= width else -1) == k for (_, k), x in carried.items())
            need(fits and not any(layer.off), "lines are not driven by the neurons of the layer before")
            before, width = {i: used[0][0] for i, used in enumerate(line["used"])}, layer.n_neurons
    return value, bound
