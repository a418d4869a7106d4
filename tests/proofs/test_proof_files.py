"""What is called proven can be written as a file, and a checker that shares nothing with matchopt accepts it."""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from matchopt import (
    Assignment,
    AssignmentInstance,
    Gains,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    Rules,
    Solution,
    Target,
    certify,
    check,
    explain,
    read_instance,
    solve,
    write,
    write_proof,
)
from matchopt.errors import Refused
from matchopt.formats import find_entry, read_catalogue, read_graded, read_problems
from matchopt.formats.recipes import made
from matchopt.library import library_folder
from matchopt.proofs.infeasible import constructed
from matchopt.proofs.proof_file import ProofFile, proof_of, proof_of_infeasible
from matchopt.testing import TinyInstance, brute_force, tiny_instances

CHECKER = Path(__file__).resolve().parents[2] / "tools" / "check_proof.py"
QUICK = ("sparse", "noise", "importance", "gains", "drop", "tunable", "writes", "levels", "chip", "free-biases", "wide")


def load() -> ModuleType:
    """The checker, as a module."""
    spec = importlib.util.spec_from_file_location("check_proof", CHECKER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_proof = load()


def sealed(lines: list[Any]) -> bytes:
    """A proof of these lines whose hash is right."""
    body = "\n".join(json.dumps(line) for line in lines)
    return f'{body}\n{{"sha256": "{sha256(body.encode()).hexdigest()}"}}\n'.encode()


def said(folder: Path, instance: Instance, proof: ProofFile | bytes) -> str:
    """What the checker says about a proof of an instance."""
    paths = folder / f"{instance.digest}.matchopt", folder / "proof"
    if not paths[0].is_file():
        write(instance, paths[0])
    paths[1].write_bytes(proof if isinstance(proof, bytes) else proof.to_bytes())
    try:
        return str(check_proof.verify(*paths))
    except check_proof.Rejected as reason:
        return f"rejected: {reason}"
    except (LookupError, TypeError, ValueError, ArithmeticError) as cause:  # as the command says
        return f"rejected: {cause!r}"


def judged(folder: Path, tiny: TinyInstance) -> str | None:
    """The claim of a tiny instance's proof file, once the checker has accepted it; None where it has none."""
    optimum = tiny.optimum
    try:
        proof = proof_of(tiny.instance, optimum.solution) if optimum.feasible else proof_of_infeasible(tiny.instance)
    except Refused:
        return None
    assert said(folder, tiny.instance, proof).startswith(proof.head["claim"]), tiny.name
    if proof.head["claim"] == "bound":  # where that is all that is proved
        assert optimum.solution is not None and not certify(tiny.instance, optimum.solution).optimal, tiny.name
    return str(proof.head["claim"])


def test_tiny_instances_of_each_trait(tmp_path: Path) -> None:
    """Optima by enumeration, each trait alone: all have a file that is accepted."""
    chosen = [tiny for tiny in tiny_instances() if tiny.name.startswith(("assignment", "layer"))]
    chosen = [tiny for tiny in chosen if any(tiny.name.endswith(trait) for trait in QUICK)]
    claims = [judged(tmp_path, tiny) for tiny in chosen]
    assert claims.count("optimal") >= 8


@pytest.mark.slow
def test_every_tiny_instance(tmp_path: Path) -> None:
    """Whatever is proved of an optimum found by enumeration and has a file is accepted; most have one."""
    claims = [judged(tmp_path, tiny) for tiny in tiny_instances()]
    assert claims.count("optimal") >= 80 and claims.count("infeasible") >= 10


def proven() -> list[str]:
    """The shipped instances and graded problems whose optimum is proved."""
    entries = [entry for entry in read_catalogue() if entry.place == "problems"]
    entries += [entry for entry in read_graded() if entry.recipe.startswith("planted")]
    return [entry.name for entry in entries if entry.status == "optimal"]


# In place of `hungarian`: the solver that finds the optimum of problems whose names begin so.
SOLVERS = {"written": "priced-writes", "written-crossbar": "crossbar-exact", "crossbar": "crossbar-exact",
           "buses": "crossbar-buses", "sums": "sum-search", "split": "split-alternate", "copies": "copies-alternate",
           "copies-4x4": "milp"}  # fmt: skip


def solved(name: str) -> tuple[Instance, Solution]:
    """A problem, and its optimum: the planted one, or what a solver finds."""
    entry = find_entry(name, read_problems())
    if entry.recipe:
        thing = made(entry.recipe, name)
        if thing.solution is not None:
            return thing.instance, thing.solution
    instance = thing.instance if entry.recipe else read_instance(entry.locate())
    solver = next(
        (SOLVERS[word] for word in sorted(SOLVERS, key=len, reverse=True) if name.startswith(word)), "hungarian"
    )
    done = solve(instance, solver, certify=False)
    assert done.solution is not None
    return instance, done.solution


QUICKLY = ("written-12", "row8-output-gaussian-k1.25-r1", "split-4x6", "hard-wired-8x6", "crossbar-8x8")
LONG = (
    "crossbar-10-random",
    "row8-gaussian",
    "row8-uniform",
    "row8-lognormal",
    "row8-bimodal",
    "free-1000",
)  # of many rows
NOT_SO_LONG = ("row8-gaussian-k0.5-r1-drop", "row8-gaussian-k1.5-r1-noise-faults")


def pace(name: str) -> list[Any]:
    """The marks of a problem, by what it takes."""
    if name.startswith(QUICKLY) or (name.endswith(("-exact", "-noisy")) and "1000" not in name):
        return []
    return (
        [pytest.mark.slow, pytest.mark.long]
        if name.startswith(LONG) and name not in NOT_SO_LONG
        else [pytest.mark.slow]
    )


@pytest.mark.parametrize("name", [pytest.param(name, marks=pace(name)) for name in proven()])
def test_every_proven_record_of_the_library(name: str, tmp_path: Path) -> None:
    """Its proof file is accepted, and the optimum in it is the table's."""
    instance, solution = solved(name)
    proof = proof_of(instance, solution)
    assert said(tmp_path, instance, proof).startswith("optimal")
    assert proof.head["objective"] == pytest.approx(find_entry(name, read_problems()).best_value, rel=1e-8)


@pytest.mark.parametrize("name", [entry.name for entry in read_graded() if entry.status == "infeasible"])
def test_every_infeasible_problem_is_explained(name: str, tmp_path: Path) -> None:
    """In 5 s of processor time, with a file that is accepted; without any one of the members there is a solution."""
    instance = made(find_entry(name, read_graded()).recipe, name).instance
    assert isinstance(instance, LayerInstance)
    began = time.process_time()
    found = explain(instance)
    assert found is not None and time.process_time() - began < 5.0
    assert said(tmp_path, instance, proof_of_infeasible(instance)).startswith("infeasible")
    members = [int(name.split()[1]) for name in found.members]
    for left in members:
        dense, support = instance.target.dense(), np.zeros((instance.n_rows, instance.target.n_inputs), bool)
        support[instance.target.row_of, instance.target.indices] = True
        rows = [i for i in members if i != left]
        fewer = replace(instance, target=Target.from_dense(dense[rows], support[rows]))
        mapping = constructed(fewer)
        assert mapping is not None and check(fewer, mapping).feasible


@pytest.mark.skipif(library_folder() is None, reason="MATCHOPT_LIBRARY is not set: no public instances")
@pytest.mark.parametrize(
    ("name", "best"),
    [("assign100", 305), pytest.param("assign800", 1552, marks=pytest.mark.slow),
     pytest.param("assignp5000", 48533, marks=pytest.mark.slow)],
)  # fmt: skip
def test_public_assignments(name: str, best: int, tmp_path: Path) -> None:
    """Whole costs, dense and sparse: proofs are exact, with nothing left between value and bound."""
    folder = library_folder()
    assert folder is not None
    instance = read_instance(folder / "instances" / "orlib-assignment" / f"{name}.txt.gz")
    done = solve(instance, "hungarian", certify=False)
    assert done.solution is not None
    proof = proof_of(instance, done.solution)
    assert [proof.head[key] for key in ("objective", "bound", "allowance")] == [best, best, 0]
    assert said(tmp_path, instance, proof).startswith("optimal")


def samples() -> list[tuple[Instance, ProofFile]]:
    """Proofs of each form: whole costs, a layer, one with noise and drops, a network, and rows that are too many."""
    rng = np.random.default_rng(5)
    whole = AssignmentInstance(rng.permutation(16).reshape(4, 4) * 3)
    target = Target.from_dense(np.where(rng.random((3, 4)) < 0.7, rng.normal(size=(3, 4)), 0.0))
    layer = LayerInstance(target, Hardware(rng.normal(size=(4, 4))))
    noisy = replace(layer, hardware=Hardware(rng.normal(size=(4, 3)), rng.random((4, 3)) / 9), rules=Rules(drop=True))
    second = LayerInstance(Target.from_dense(rng.normal(size=(2, 3))), Hardware(rng.normal(size=(3, 3))))
    network = NetworkInstance((layer, second), (np.zeros(3), np.zeros(2)))
    few = LayerInstance(Target.from_dense(np.ones((3, 2))), Hardware(np.ones((3, 2)), usable=np.eye(3, 2) < 1))
    found = [(one, proof_of(one, brute_force(one).solution)) for one in (whole, layer, noisy, network)]
    return [*found, (few, proof_of_infeasible(few))]


def mutations(proof: ProofFile, rng: np.random.Generator) -> Iterator[bytes]:
    """Proofs that claim what is false, or do not follow: each with a hash that is right."""
    while True:
        lines = json.loads(json.dumps([dict(proof.head), *proof.lines]))
        head, line = lines[0], lines[1 + int(rng.integers(len(lines) - 1))]
        size = abs(head.get("objective", 1.0)) or 1.0
        match int(rng.integers(8)):
            case 0:
                head["instance"] = sha256(rng.bytes(4)).hexdigest()
            case 1 if "bound" in head:
                head["bound"] += type(head["bound"])(max(1, size * rng.choice([1e-3, 1.0])))
            case 2 if "bound" in head:
                head["objective"] *= 1 + rng.choice([-1e-3, 1e-6, 1e-3])
            case 3:
                line.pop(str(rng.choice(list(line))))
            case 4:
                some = line["columns" if "bound" not in head else str(rng.choice(["rows", "columns"]))]
                at = int(rng.integers(len(some)))
                some[at] = some[at] - 1 if "bound" in head else 10**6
            case 5 if "bound" in head:
                at = int(rng.integers(len(line["rows"])))
                line["rows"][at] += type(line["rows"][at])(max(1, size * rng.choice([1e-5, 1.0])))
            case 6 if "bound" in head:
                i, j = rng.choice(len(line["neurons"]), 2, replace=False).tolist()
                line["neurons"][i] = int(rng.choice([line["neurons"][j], -1, 10**6]))
            case _:
                line["rows"].pop()
        yield sealed(lines)


@cache
def placed() -> list[tuple[Instance, ProofFile]]:
    """Proofs of the second form: sums, parts, copies, hard-wired cells, shared lines, gains, units, a chain."""
    rng = np.random.default_rng(8)
    target, short = Target.from_dense(rng.normal(size=(2, 3))), Target.from_dense(rng.normal(size=(2, 2)))
    chip, lines = Hardware(rng.normal(size=(3, 4))), Hardware(rng.normal(size=(3, 2)), bus=np.zeros(3, int))
    wired = Hardware(rng.normal(size=(3, 6)), input=np.tile(np.arange(6) // 2, (3, 1)))
    layers = [
        LayerInstance(target, chip, Rules(cells_per_weight=2)),
        LayerInstance(target, Hardware(rng.normal(size=(4, 2))), Rules(neurons_per_row=2)),
        LayerInstance(short, Hardware(rng.normal(size=(4, 2))), Rules(copies=2)),
        LayerInstance(target, wired, Rules(cells_per_weight=2)),
        LayerInstance(short, lines),
        LayerInstance(short, replace(lines, bus=np.array([0, 0, 1])), Rules(drop=True)),
        LayerInstance(target, chip, Rules(gains=Gains.interval(0.5, 2.0))),
    ]
    found: list[tuple[Instance, ProofFile]] = [(layer, proof_of(layer, optimum(layer))) for layer in layers]
    for text in (
        "rows=3 inputs=3 neurons=4 cells=4 bus=0 tunable=1",
        "rows=3 inputs=3 neurons=3 cells=3 bus=0 chain=2",
    ):
        thing = made(f"planted law=noisy fan_in=2 {text}", "unit")
        assert thing.solution is not None
        found.append((thing.instance, proof_of(thing.instance, thing.solution)))
    return found


def optimum(layer: LayerInstance) -> Solution:
    """By enumeration, or where gains are of an interval by the exact solver."""
    if not layer.rules.gains.is_interval:
        solution = brute_force(layer).solution
        assert solution is not None
        return solution
    done = solve(layer, "hungarian", certify=False).solution
    assert done is not None
    return done


def unplaced(proof: ProofFile, rng: np.random.Generator) -> Iterator[bytes]:
    """As `mutations`, of proofs of the second form."""
    while True:
        lines = json.loads(json.dumps([dict(proof.head), *proof.lines]))
        head, line = lines[0], lines[1 + int(rng.integers(len(lines) - 1))]
        size, gap = abs(head["objective"]), float(rng.choice([1e-4, 1.0]))
        match int(rng.integers(8)):
            case 0:
                head["instance"] = sha256(rng.bytes(4)).hexdigest()
            case 1:
                head["bound"] += size * gap
            case 2:
                head["objective"] *= 1 + rng.choice([-1e-3, 1e-6, 1e-3])
            case 3:
                line.pop(str(rng.choice([key for key in line if key != "tuned" or len(line["tuned"])])))
            case 4 if "goal" in line:
                line["goal"] += size * gap
            case 4 if "unit" in line:
                line["unit"] *= float(rng.choice([-1.0, 0.0, 2.0, 16.0]))
            case 4:
                line["rows"][int(rng.integers(len(line["rows"])))] += size * gap
            case 5:
                row = line["used"][int(rng.integers(len(line["used"])))]
                row[0][int(rng.integers(2))] = float(rng.choice([-3.0, 7.5])) if rng.random() < 0.5 else 10**6
            case 6:
                own = line["cells"][int(rng.integers(len(line["cells"])))]
                own[2] = [[0, 10**6]] if rng.random() < 0.5 else [*own[2], [0, -1]]
            case _:
                line["used"][0] = line["used"][1]
        yield sealed(lines)


@pytest.mark.parametrize("count", [45, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_placements_are_rejected(count: int, tmp_path: Path) -> None:
    """Of every evidence of the second form: what follows no more is rejected, however well it is sealed."""
    rng, found = np.random.default_rng(9), placed()
    for instance, proof in found:
        assert proof.head["format"] == "matchopt-proof-2" and said(tmp_path, instance, proof).startswith("optimal")
        changed = unplaced(proof, rng)
        for _ in range(-(-count // len(found))):
            mutated = next(changed)
            assert said(tmp_path, instance, mutated).startswith("rejected"), mutated


@pytest.mark.parametrize("count", [3, pytest.param(32, marks=pytest.mark.slow)])
def test_placements_of_another_instance_are_rejected(count: int, tmp_path: Path) -> None:
    """Layers of the same size that share their target: by what the solution costs there, if not by the digest."""
    rng, tried = np.random.default_rng(13), 0
    target = Target.from_dense(rng.normal(size=(2, 2)))
    for rules, shape, bus in ((Rules(2), (3, 3), None), (Rules(), (3, 3), np.zeros(3, int))):
        layers = [LayerInstance(target, Hardware(rng.normal(size=shape), bus=bus), rules) for _ in range(count)]  # type: ignore[arg-type]
        proofs = [proof_of(layer, optimum(layer)) for layer in layers]
        for layer in layers:
            for proof in proofs:
                if proof.head["instance"] != layer.digest:
                    forged = sealed([{**proof.head, "instance": layer.digest}, *proof.lines])
                    assert said(tmp_path, layer, forged).startswith("rejected")
                    tried += 1
    assert tried == 2 * count * (count - 1)


def test_no_evidence_goes_beyond_the_optimum(tmp_path: Path) -> None:
    """A solution that is not the best one, with a bound raised to its cost, has no evidence that is accepted."""
    for instance, proof in placed():
        lines = json.loads(json.dumps([dict(proof.head), *proof.lines]))
        for line in lines[1:]:
            if "goal" in line:
                line["goal"] *= 1 + 1e-5
            elif "rows" in line:
                line["rows"] = [u + 1e-5 * abs(lines[0]["objective"]) for u in line["rows"]]
            else:
                line["unit"] /= 3
        lines[0] |= {"bound": lines[0]["objective"] * (1 + 1e-7), "claim": "bound"}
        assert said(tmp_path, instance, sealed(lines)).startswith("rejected")


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_proofs_are_rejected(count: int, tmp_path: Path) -> None:
    """Of claims, potentials, decisions and bytes: what follows no more is rejected, however well it is sealed."""
    rng, found = np.random.default_rng(7), samples()
    for instance, proof in found:
        assert not said(tmp_path, instance, proof).startswith("rejected")
        changed = mutations(proof, rng)
        for _ in range(count // (2 * len(found))):
            mutated = next(changed)
            assert said(tmp_path, instance, mutated).startswith("rejected"), mutated
            raw = bytearray(proof.to_bytes()[:-1])
            raw[int(rng.integers(len(raw)))] ^= 1 << int(rng.integers(7))
            assert said(tmp_path, instance, bytes(raw)).startswith("rejected"), bytes(raw)


@pytest.mark.parametrize("count", [6, pytest.param(23, marks=pytest.mark.slow)])
def test_proofs_of_another_instance_are_rejected(count: int, tmp_path: Path) -> None:
    """Of the same size and all but alike: by the digest, and where that is forged, by what the potentials prove."""
    rng = np.random.default_rng(11)
    target = Target.from_dense(rng.normal(size=(3, 3)))
    layers = [LayerInstance(target, Hardware(rng.normal(size=(3, 4)))) for _ in range(count)]
    proofs = [proof_of(layer, brute_force(layer).solution) for layer in layers]
    tried = 0
    for layer in layers:
        for proof in proofs:
            if proof.head["instance"] != layer.digest:
                forged = sealed([{**proof.head, "instance": layer.digest}, *proof.lines])
                assert said(tmp_path, layer, proof).startswith("rejected")
                assert said(tmp_path, layer, forged).startswith("rejected")
                tried += 2
    assert tried == 2 * count * (count - 1)


def test_the_checker_runs_alone(tmp_path: Path) -> None:
    """With the standard library only: exit status 0, 1 and 2; and it has at most 250 lines."""
    instance = AssignmentInstance([[4, 1], [2, 9]])
    write(instance, tmp_path / "i.matchopt")
    proof = write_proof(instance, Assignment([1, 0]), tmp_path / "p")
    assert proof.head["claim"] == "optimal" and len(CHECKER.read_text().splitlines()) <= 250
    assert len(CHECKER.with_name("check_proof_2.py").read_text().splitlines()) <= 250
    (tmp_path / "bad").write_bytes((tmp_path / "p").read_bytes().replace(b"3", b"4", 1))
    bus = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2)), bus=np.zeros(2, int)))
    write(bus, tmp_path / "bus.matchopt")
    write_proof(bus, brute_force(bus).solution, tmp_path / "second")
    for name, status in (("p", 0), ("bad", 1), ("missing", 2), ("second", 0)):
        words = [sys.executable, "-I", "-S", str(CHECKER), "bus.matchopt" if name == "second" else "i.matchopt", name]
        assert subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60).returncode == status
    done = subprocess.run([sys.executable, str(CHECKER)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "usage: python check_proof.py INSTANCE PROOF\n")


def test_what_has_no_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Lines that leak have no file yet; a feasible instance has no proof that there is no solution."""
    layer = LayerInstance(
        Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2)), off=np.full((2, 2), 0.3), bus=np.zeros(2, int))
    )
    optimum = brute_force(layer).solution
    with pytest.raises(Refused, match="no proof file: layer 0 leaks into lines that are shared"):
        write_proof(layer, optimum, tmp_path / "p")
    with pytest.raises(Refused, match="no proof file: no rows are known"):
        write_proof(layer, None, tmp_path / "p")
    assert not (tmp_path / "p").exists()
