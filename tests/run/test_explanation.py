"""Why there is no solution: a set that has none, while all that leave out one member have one."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from matchopt import (
    AssignmentInstance,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    ProgramInstance,
    Rules,
    Target,
    explain,
    read,
    write,
)
from matchopt.cli import main
from matchopt.formats.catalogue import CatalogueEntry, read_problems
from matchopt.testing import TinyInstance, brute_force, tiny_instances

NAMED = ("infeasible", "hall", "too-", "nothing-there", "forbidden", "dead", "empty", "no-pairs", "parity", "crossed")
NAMED = (*NAMED, "no-whole", "conflict")  # most of which have no solution


def without(layer: LayerInstance, rows: list[int]) -> LayerInstance:
    """The layer with the connections of these rows alone, from full matrices."""
    target, kept = layer.target, np.isin(np.arange(layer.n_rows), rows)
    support = np.zeros((layer.n_rows, target.n_inputs), bool)
    support[target.row_of, target.indices] = True
    return replace(layer, target=Target.from_dense(target.dense(), support & kept[:, None]))


def with_members(instance: Instance, members: list[str]) -> Instance:
    """The instance with these members of an explanation alone."""
    numbers = [int(name.rpartition(" ")[2]) for name in members if name.startswith(("row", "layer"))]
    match instance:
        case AssignmentInstance():
            return AssignmentInstance(instance.dense[numbers])
        case LayerInstance():
            return without(instance, numbers)
        case NetworkInstance():
            pairs = [(int(name.split()[1]), int(name.split()[3])) for name in members]
            layers = [without(one, [i for m, i in pairs if m == n]) for n, one in enumerate(instance.layers)]
            return replace(instance, layers=tuple(layers))
    assert isinstance(instance, ProgramInstance)
    kept = [i for i in range(instance.n_rows) if instance.row_name(i) in members]
    full = np.zeros((instance.n_rows, instance.n_variables))
    for i in range(instance.n_rows):
        full[i, instance.row(i)[0]] = instance.row(i)[1]
    rows = full[kept]
    indptr = np.concatenate([[0], np.cumsum((rows != 0).sum(axis=1))])
    ends = instance.row_low[kept], instance.row_high[kept]
    return ProgramInstance(instance.cost, indptr, np.nonzero(rows)[1], rows[rows != 0], *ends, instance.low,
                           instance.high, instance.integral)  # fmt: skip


def agrees(instance: Instance, feasible: Callable[[Instance], bool]) -> None:
    """The explanation's members have no solution; without any one of them they have."""
    found = explain(instance)
    assert found is not None
    members = list(found.members)
    if isinstance(instance, ProgramInstance) and not set(members) <= {instance.row_name(i) for i in range(99)}:
        (name,) = members  # a variable whose bounds cross
        v = [instance.variable_name(v) for v in range(instance.n_variables)].index(name)
        assert np.ceil(instance.low[v]) > np.floor(instance.high[v])
        return
    assert not feasible(with_members(instance, members)), found
    for left in members:
        assert feasible(with_members(instance, [name for name in members if name != left])), found


def enumerated(instance: Instance) -> bool:
    """Whether enumeration finds a solution."""
    return brute_force(instance).feasible


@pytest.mark.parametrize(
    "tiny", [tiny for tiny in tiny_instances() if any(word in tiny.name for word in NAMED)], ids=lambda t: t.name
)
def test_tiny_instances(tiny: TinyInstance) -> None:
    """Of every kind and rule, by enumeration, in less than five seconds each; where there is a solution, nothing."""
    before = time.process_time()
    if tiny.optimum.feasible:
        assert explain(tiny.instance) is None
    else:
        agrees(tiny.instance, enumerated)
    assert time.process_time() - before < 5.0


@pytest.mark.parametrize("problem", [p for p in read_problems() if p.status == "infeasible"], ids=lambda p: p.name)
def test_problems_of_the_library(problem: CatalogueEntry) -> None:
    """Every infeasible one, within five seconds: its members fit no neurons together, all but any one of them do."""
    layer = read(problem.locate())
    before = time.process_time()
    found = explain(layer)
    assert time.process_time() - before < 5.0
    assert found is not None and isinstance(layer, LayerInstance) and layer.hardware.free_routing
    assert not layer.rules.drop and layer.rules.tunable == 0
    fits = layer.target.fan_in[:, None] <= layer.hardware.n_usable[None, :]

    def served(members: list[str]) -> bool:
        rows = [int(name.removeprefix("row ")) for name in members]
        return bool((maximum_bipartite_matching(csr_array(fits[rows]), "column") >= 0).all())

    members = list(found.members)
    assert not served(members)
    assert all(served([name for name in members if name != left]) for left in members)


def test_feasible_instances_have_no_explanation() -> None:
    """Where enumeration finds a solution nothing is explained; of each kind some are looked at."""
    names = ("free-biases", "one-chip", "layer-plain", "layer-drop", "layer-crossbar", "assignment", "program-knapsack")
    chosen = [tiny for tiny in tiny_instances() if tiny.name.endswith(names) and enumerated(tiny.instance)]
    assert len(chosen) >= 3
    assert [explain(tiny.instance) for tiny in chosen] == [None] * len(chosen)


@pytest.mark.parametrize("seed", range(6))
def test_random_rows_that_are_too_many(seed: int) -> None:
    """Twelve rows on eleven neurons that are wide enough, among forty others: those twelve, and what they share."""
    rng = np.random.default_rng(seed)
    wide, narrow = rng.permutation(52)[:12], rng.permutation(60)[:11]
    support = np.zeros((52, 40), bool)
    for i in range(52):
        support[i, rng.permutation(40)[: 30 if i in wide else 8]] = True
    usable = np.zeros((60, 34), bool)
    for j in range(60):
        usable[j, : 32 if j in narrow else 12] = True
    layer = LayerInstance(Target.from_dense(np.ones((52, 40)), support), Hardware(np.ones((60, 34)), usable=usable))
    found = explain(layer)
    assert found is not None and found.by == "counted"
    assert found.members == tuple(f"row {i}" for i in sorted(wide.tolist()))
    assert found.columns == tuple(sorted(narrow.tolist()))
    assert "these 12 target neurons" in found.sentence
    assert "share only 11 hardware neurons with 30 usable cells or more" in found.sentence


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed: int) -> None:
    """Rows that conflict, hidden among rows that do not: exactly one smallest set, by enumeration."""
    rng = np.random.default_rng(seed)
    rows = (rng.random((9, 4)) < 0.6) * rng.integers(1, 4, (9, 4))
    high = rows.sum(axis=1).astype(float)  # nothing forbids all ones
    low = np.full(9, -np.inf)
    a, b = rng.permutation(9)[:2].tolist()
    rows[a], low[a] = (1, 1, 1, 1), 3.0
    high[a], rows[b], high[b] = np.inf, (1, 1, 1, 0), 1.0
    indptr = np.concatenate([[0], np.cumsum((rows != 0).sum(axis=1))])
    program = ProgramInstance(np.zeros(4), indptr, np.nonzero(rows)[1], rows[rows != 0].astype(float), low, high,
                              np.zeros(4), np.ones(4), np.ones(4, bool))  # fmt: skip
    found = explain(program)
    assert found is not None and set(found.members) == {f"r{a}", f"r{b}"}
    agrees(program, enumerated)


def test_a_crossbar_with_too_few_lines(tmp_path: Path) -> None:
    """The command names the target neurons whose inputs are too many, in words and as JSON; drops leave a way."""
    support = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]], bool)
    layer = LayerInstance(Target.from_dense(np.ones((4, 5)), support), Hardware(np.ones((5, 4)), bus=np.zeros(5, int)))
    write(layer, tmp_path / "c.matchopt")
    done = CliRunner().invoke(main, ["explain", str(tmp_path / "c.matchopt")])
    assert done.exit_code == 0 and "they listen to 5 inputs, and the one bus has 4 lines" in done.output
    found = json.loads(CliRunner().invoke(main, ["explain", str(tmp_path / "c.matchopt"), "--json"]).output)
    assert found["infeasible"] and len(found["members"]) == 3
    write(replace(layer, rules=Rules(drop=True)), tmp_path / "d.matchopt")
    done = CliRunner().invoke(main, ["explain", str(tmp_path / "d.matchopt")])
    assert (done.exit_code, done.output.split(maxsplit=1)[1]) == (1, "has a solution\n")


def test_the_reason_is_told_where_no_file_can_prove_it(tmp_path: Path) -> None:
    """What was tried is said all the same, and why there is no proof file; what was counted is written."""
    both = np.ones((2, 2))
    program = ProgramInstance(
        np.zeros(2), np.array([0, 2, 4]), np.array([0, 1, 0, 1]), both.ravel(), np.array([3.0, -np.inf]),
        np.array([np.inf, 1.0]), np.zeros(2), np.full(2, 5.0), np.ones(2, bool),
    )  # fmt: skip
    write(program, tmp_path / "p.matchopt")
    words = ["explain", str(tmp_path / "p.matchopt"), "--proof", str(tmp_path / "p.proof")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0 and "2 rows cannot hold together" in done.output
    assert "proof: the proof file does not understand" in done.output and not (tmp_path / "p.proof").exists()
    write(AssignmentInstance(np.array([[1.0, np.inf], [2.0, np.inf]])), tmp_path / "a.matchopt")
    words = ["explain", str(tmp_path / "a.matchopt"), "--proof", str(tmp_path / "a.proof"), "--json"]
    done = CliRunner().invoke(main, words)
    assert json.loads(done.output)["proof_file"] == f"{tmp_path / 'a.proof'} (infeasible)"
    assert CliRunner().invoke(main, [*words, "--seconds", "nan"]).exit_code == 2
