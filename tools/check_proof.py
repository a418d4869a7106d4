#!/usr/bin/env python3
"""Check a proof file against its instance: python check_proof.py INSTANCE PROOF

INSTANCE is a .matchopt file, PROOF what `matchopt solve --proof` wrote. Shares nothing with matchopt, needs Python 3.11
alone (and check_proof_2.py beside it where rows are more than single cells), and computes exactly (docs/proofs.md).
Exit status: 0 where the proof is accepted, 1 where it is rejected, 2 where a file is not named or cannot be opened.
"""

import hashlib
import json
import math
import struct
import sys
from bisect import bisect_left
from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise, product

TYPES = {"F64": ("<f8", "d"), "I64": ("<i8", "q"), "BOOL": ("|b1", "B"), "F32": ("<f4", "f"), "U8": ("|u1", "B")}
CLOSE, TINY = Fraction(1, 10**6), Fraction(1, 10**12)  # of a value: the most that may lie between it and its bound
CHIP = {"variance": 0.0, "usable": 1, "write_variance": 0.0, "low": math.nan, "high": math.nan}
KNOWN = {*CHIP, *"n_inputs rules objective origin cells_per_weight drop extra_inputs gains tunable writes".split()}
KNOWN |= {*"weights off bus neuron measured levels level_variance indptr indices importance biases data".split()}
KNOWN |= {*"task_loss layers adjustable architecture one_chip chained".split()}


class Rejected(Exception):
    """What is wrong with the proof, or what in the instance is unknown here."""


def need(holds, reason):
    if not holds:
        raise Rejected(reason)


def read_instance(path):
    """Kind, facts, arrays as (shape, values) by name, and the digest of all that."""
    with open(path, "rb") as file:
        raw = file.read()
    start = 8 + int.from_bytes(raw[:8], "little")
    header, arrays = json.loads(raw[8:start]), {}
    about = json.loads(header.pop("__metadata__")["matchopt"])
    sha = hashlib.sha256(about["kind"].encode())
    sha.update(json.dumps(about["facts"], sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    for name, entry in sorted(header.items()):
        (text, code), shape, (begin, end) = TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
        sha.update(f"|{name}|{text}|{shape}|".encode() + raw[start + begin : start + end])
        arrays[name] = (shape, struct.unpack(f"<{math.prod(shape)}{code}", raw[start + begin : start + end]))
    return about["kind"], about["facts"], arrays, sha.hexdigest()


def exponent(values):
    """The least e >= 0 for which all these times 2**e are whole."""
    return max((x.as_integer_ratio()[1].bit_length() - 1 for x in values), default=0)


def whole(x, e):
    """x times 2**e, rounded down."""
    over, under = x.as_integer_ratio()
    return (over << e) // under


class Table:
    """An assignment instance."""

    def __init__(self, facts, arrays):
        (shape, cost), (_, starts), (_, columns) = (arrays.get(name, (0, 0)) for name in ("cost", "indptr", "indices"))
        self.width, self.tunable, self.writes = facts.get("n_cols", shape[-1]), 0, None
        self.number, ends = range(self.width), starts or [self.width * i for i in range(shape[0] + 1)]
        self.rows = [(columns[begin:end] if starts else self.number, cost[begin:end]) for begin, end in pairwise(ends)]

    def fitting(self, i):
        return {j for j, c in zip(*self.rows[i], strict=True) if c < math.inf}

    def examine(self, line, _):
        """The value of the solution, and how many things in it have a price; rejects potentials that do not fit."""
        e = exponent([*line["rows"], *line["columns"], *(c for _, some in self.rows for c in some if c < math.inf)])
        u, v = [whole(x, e) for x in line["rows"]], [whole(x, e) for x in line["columns"]]
        need((len(u), len(v)) == (len(self.rows), self.width) and max(v, default=0) <= 0, "wrong potentials")
        for i, (columns, cost) in enumerate(self.rows):
            need(all(u[i] + v[j] <= whole(c, e) for j, c in zip(columns, cost) if c < math.inf), f"row {i} costs less")
        return sum(Fraction(dict(zip(*row))[j]) for row, j in zip(self.rows, line["neurons"], strict=True)), 0


class Layer:
    """A layer whose neurons have lines of their own, and whose weights are served by single cells."""

    def __init__(self, facts, arrays):
        (_, moments), self.rules = arrays.get("objective.second_moments", (0, ())), facts["rules"]
        target = {name[7:]: some for name, (_, some) in arrays.items() if name.startswith("target.")}
        chip = {name[9:]: some for name, (_, some) in arrays.items() if name.startswith("hardware.")}
        need({*facts, *self.rules, *chip, *target} <= KNOWN, "the layer has rules, or cells, that are unknown here")
        self.n_neurons, self.n_cells = arrays["hardware.weights"][0]
        chip = {name: [value] * self.n_neurons * self.n_cells for name, value in CHIP.items()} | chip
        levels, self.usable, self.writes = chip.get("levels", []), chip["usable"], self.rules.get("writes")
        spread, depth = chip.get("level_variance", [0.0] * len(levels)), len(levels) // max(1, len(self.usable))
        self.states = []  # what each cell can be: a value from .. to, its variance, whether it is written for that
        for at, h in enumerate(chip["weights"]):
            own = [(h, h, chip["variance"][at], 0), (chip["low"][at], chip["high"][at], chip["write_variance"][at], 1)]
            own += [(levels[n], levels[n], spread[n], 1) for n in range(at * depth, (at + 1) * depth)]
            self.states.append([z for z in own if z[0] == z[0] and (self.writes != 0 or not z[3])])  # none for NaN
        self.number, indices = chip.get("neuron", range(self.n_neurons)), target["indices"]
        plain = facts["objective"] == ("output-error" if moments else "weight-error")
        plain &= not any(x for at, x in enumerate(moments) if at % (facts["n_inputs"] + 1))
        self.known = plain and self.rules["cells_per_weight"] == 1
        self.known &= isinstance(self.rules["gains"], list) and len(set(chip.get("bus", self.number))) == self.n_neurons
        counts = [moments[x * facts["n_inputs"] + x] for x in indices] if moments else target.get("importance")
        every = list(zip(target["weights"], counts or [1.0] * len(indices)))  # weight and importance of each connection
        self.rows = [every[begin:end] for begin, end in pairwise(target["indptr"])]
        self.tunable = min(self.rules["tunable"], len(every))
        self.e = exponent(x for _, some in arrays.values() for x in some if x == x)

    def fitting(self, i):
        """Whatever else is allowed: a row needs a cell for each connection that is not dropped, or tunable."""
        least = 0 if self.rules["drop"] else len(self.rows[i]) - self.tunable
        room = [sum(self.usable[j * self.n_cells : (j + 1) * self.n_cells]) for j in range(self.n_neurons)]
        return {number for number, most in zip(self.number, room) if least <= most}

    def examine(self, line, tunable):
        need(self.known, "shared lines, sums of cells, correlated inputs and intervals of gains are unknown here")
        u, v, price, gains = line["rows"], line["columns"], line["price"], self.rules["gains"]
        pairs = {(i, j): [dict(some) for some in each] for i, j, *each in line["pairs"]}
        w = [x for each in pairs.values() for some in each for x in some.values()]
        need((len(u), len(v)) == (len(self.rows), self.n_neurons) and max([*v, *w, -price]) <= 0, "wrong potentials")
        e = max(self.e, exponent([*u, *v, *w, *gains, price]))  # numbers are multiples of 2**-e, costs of 2**-5e
        u, v, price = [whole(x, 5 * e) for x in u], [whole(x, 5 * e) for x in v], whole(price, 5 * e)
        rows, sums = [[(whole(a, 2 * e), whole(q, e)) for a, q in row] for row in self.rows], (0, 0, 0)
        skip = price if tunable else math.inf  # what a connection costs at most without a cell
        rows = [[(a, q, min(q * a * a, skip) if self.rules["drop"] else skip) for a, q in row] for row in rows]
        for (n, gain), j in product(enumerate(gains), range(self.n_neurons)):
            least, in_order, given = self.on_neuron(j, whole(gain, e), e, price, tunable)
            for i, row in enumerate(rows):
                w = {k: whole(x, 5 * e) for k, x in pairs[i, j][n].items()} if (i, j) in pairs else {}
                goal = u[i] + v[j]
                need(goal <= least(row, w, goal) or goal <= in_order(row, goal), f"row {i} costs less on neuron {j}")
                if (line["neurons"][i], line["gains"][i]) == (j, n):
                    sums = tuple(map(sum, zip(sums, given(row, line["cells"][i]))))
        need(sums[2] == len(rows), "a row has no neuron")
        return Fraction(sums[0], 2 ** (5 * e)), sums[1]

    def on_neuron(self, j, gain, e, price, tunable):
        """What rows cost at least on a neuron, and what on given cells of it, with how much that has a price."""
        drop, own = self.rules["drop"], {}
        for k, at in enumerate(range(j * self.n_cells, (j + 1) * self.n_cells)):
            for z, (low, high, y, put) in enumerate(self.states[at] if self.usable[at] else ()):
                own[k, z] = (*sorted((gain * whole(low, e), gain * whole(high, e))), gain**2 * whole(y, 2 * e), put)
        fixed = sorted((low, y, k) for (k, z), (low, _, y, _) in own.items() if not z)
        values, menu = [low for low, _, _ in fixed], [(k, *state) for (k, z), state in own.items() if z]
        need(not menu or not tunable, "budgets of tunable weights and of writes at once are unknown here")

        def least(row, w, goal):
            cost = sum(w.values()) if drop or tunable or len(row) <= len(fixed) else math.inf
            for a, q, skip in row if cost < goal else ():  # all terms are >= 0
                best, at = skip, bisect_left(values, a)
                for way in (range(at, len(fixed)), range(at - 1, -1, -1)):  # from the nearest cell outwards
                    for n in way:
                        if q * (values[n] - a) ** 2 >= best:
                            break
                        best = min(best, q * ((values[n] - a) ** 2 + fixed[n][1]) - w.get(fixed[n][2], 0))
                for k, low, high, y, _ in menu:
                    best = min(best, q * (max(low - a, 0, a - high) ** 2 + y) + price - w.get(k, 0))
                cost += best
                if cost >= goal:
                    break
            return cost

        def in_order(row, goal):  # the least cost so far of ascending weights on the first n cells
            so_far = [0] * (len(fixed) + 1) if not menu and len({q for _, q, _ in row}) == 1 else [-math.inf]
            for a, q, skip in sorted(row) if so_far[0] == 0 else ():
                now = [so_far[0] + skip]
                for n, (x, y, _) in enumerate(fixed):
                    now.append(min(now[n], so_far[n + 1] + skip, so_far[n] + q * ((x - a) ** 2 + y)))
                so_far = now
                if now[-1] >= goal:
                    break
            return so_far[-1]

        def given(row, places):  # of each connection: [cell, state], [] if it is tunable, null if it is dropped
            cost, paid, used = 0, 0, [place[0] for place in places if place]
            need(len(set(used)) == len(used) and (drop or None not in places), "a cell is used twice, or none is")
            for (a, q, _), place in zip(row, places, strict=True):
                at = (0, 0, 0, 0) if place is None else (a, a, 0, 1) if tunable and not place else own[*place]
                cost, paid = cost + q * (max(at[0] - a, 0, a - at[1]) ** 2 + at[2]), paid + at[3]
            return cost, paid, 1

        return least, in_order, given


def solved(parts, facts, lines):
    """The exact value of the solution and the exact bound, of parts that share a budget or the neurons of one chip."""
    limit, chip = facts.get("tunable"), facts.get("one_chip", False)
    value, bound, columns, used, priced = Fraction(0), Fraction(0), {}, [], []
    for n, (part, line) in enumerate(zip(parts, lines, strict=True)):
        tunable = part.tunable if limit is None else min(part.tunable, limit)
        most = tunable or part.writes
        cost, paid = part.examine(line, tunable > 0)
        need(paid <= most if most is not None else not line["price"], "too much has a price, or nothing has")
        value, bound = value + cost, bound + sum(map(Fraction, line["rows"])) - Fraction(line["price"]) * (most or 0)
        priced += [(line["price"], tunable, paid)] if tunable else []
        used += [(0 if chip else n, part.number[j]) for j in line["neurons"]]
        for number, x in zip(part.number, line["columns"]):
            need(columns.setdefault((0 if chip else n, number), x) == x, "one neuron has two potentials")
    need(len(set(used)) == len(used), "a neuron, or a column, is used twice")
    if limit is not None and priced:  # of a price that all have in common only so much is paid back
        need(sum(paid for _, _, paid in priced) <= limit, "more weights are tunable than the network allows")
        bound += Fraction(min(priced)[0]) * max(0, sum(tunable for _, tunable, _ in priced) - limit)
    return value, max(bound + sum(map(Fraction, columns.values())), 0 if isinstance(parts[0], Layer) else -math.inf)


def verify(instance, proof):
    """What the proof proves, in a sentence; raises Rejected, or what it met, where it proves nothing."""
    kind, facts, arrays, digest = read_instance(instance)
    with open(proof, "rb") as file:
        body, _, last = file.read().rstrip(b"\n").rpartition(b"\n")
    need(json.loads(last) == {"sha256": hashlib.sha256(body).hexdigest()}, "it is damaged: its hash differs")
    head, *lines = map(json.loads, body.split(b"\n"))
    first = {"matchopt-proof-1": True, "matchopt-proof-2": False}.get(head["format"])
    need(first is not None and head["instance"] == digest, "it is of another instance, or format")
    plain = set(facts) <= KNOWN and not facts["task_loss"] if kind == "network" else kind in ("assignment", "layer")
    need(plain, f"instances of kind {kind}, or their objective, are unknown here")
    starts = {f"layers.{n}.": own for n, own in enumerate(facts["layers"])} if kind == "network" else {"": facts}
    parts = []
    for at, own in starts.items():
        inner = {name.removeprefix(at): some for name, some in arrays.items() if name.startswith(at)}
        parts.append((Table if kind == "assignment" else Layer)(own, inner) if first else (own, inner))
    if head["claim"] == "infeasible":
        rows, columns = {(n, i) for n, i in lines[0]["rows"]}, set(lines[0]["columns"])
        need(len(columns) < len(rows) and (facts.get("one_chip") or len({n for n, _ in rows}) == 1), "there are enough")
        need(all(min(n, i) >= 0 and parts[n].fitting(i) <= columns for n, i in rows), "the rows fit others too")
        return f"infeasible: {len(rows)} rows share {len(columns)} columns, or neurons"
    if not first:
        spec = spec_from_file_location("check_proof_2", __file__.replace("check_proof.py", "check_proof_2.py"))
        spec.loader.exec_module(second := module_from_spec(spec))
    value, bound = (solved if first else second.solved)(parts, facts, lines)
    need(abs(value - Fraction(head["objective"])) <= CLOSE / 1000 * abs(value), "the solution has another value")
    need(Fraction(head["bound"]) <= bound, "the potentials do not prove the bound")
    gap, most = value - bound, min(Fraction(head["allowance"]), CLOSE * abs(value) + TINY)
    need(head["claim"] == "bound" or gap <= most, "the solution is not proved optimal")
    return f"{head['claim']}: no solution costs less than {head['bound']!r}, this one costs {head['objective']!r}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(print("usage: python check_proof.py INSTANCE PROOF", file=sys.stderr) or 2)
    try:
        print("accepted:", verify(*sys.argv[1:]))
    except OSError as cause:
        sys.exit(print(cause, file=sys.stderr) or 2)
    except Exception as reason:  # whatever it meets, nothing is proved
        sys.exit(f"rejected: {reason or type(reason).__name__}")
