"""What is called proven can be written as a file, and a checker that shares nothing with matchopt accepts it."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from matchopt import (
    Assignment,
    AssignmentInstance,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    Rules,
    Solution,
    Target,
    certify,
    read_instance,
    solve,
    write,
    write_proof,
)
from matchopt.errors import Refused
from matchopt.formats import read_catalogue
from matchopt.library import library_folder, problems_folder
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
    return str(proof.head["claim"])


def test_tiny_instances_of_each_trait(tmp_path: Path) -> None:
    """Optima by enumeration, each trait alone: all have a file that is accepted."""
    chosen = [tiny for tiny in tiny_instances() if tiny.name.startswith(("assignment", "layer"))]
    chosen = [tiny for tiny in chosen if any(tiny.name.endswith(trait) for trait in QUICK)]
    claims = [judged(tmp_path, tiny) for tiny in chosen]
    assert claims.count("optimal") >= 8 and "bound" not in claims


@pytest.mark.slow
def test_every_tiny_instance(tmp_path: Path) -> None:
    """Whatever is proved of an optimum found by enumeration and has a file is accepted; most have one."""
    claims = [judged(tmp_path, tiny) for tiny in tiny_instances()]
    assert claims.count("optimal") >= 80 and claims.count("infeasible") >= 10 and "bound" not in claims


def proven() -> list[str]:
    """The shipped instances whose optimum is proved, and has a file."""
    entries = read_catalogue(problems_folder() / "catalogue.csv")
    names = [Path(entry.path).stem for entry in entries if entry.place == "problems" and entry.status == "optimal"]
    return [name for name in names if "crossbar" not in name]


def solved(name: str) -> tuple[Instance, Solution]:
    """A shipped instance, and its optimum."""
    instance = read_instance(problems_folder() / "instances" / f"{name}.matchopt")
    done = solve(instance, "priced-writes" if name.startswith("written") else "hungarian", certify=False)
    assert done.solution is not None
    return instance, done.solution


QUICKLY = ("written", "row8-output-gaussian")
SLOWLY = ("row8-output", "row8-binary-k1.25-r1", "row8-gaussian-k0.5-r1-drop", "row8-gaussian-k1.5-r1-noise-faults")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name.startswith(QUICKLY) else
                     pytest.mark.slow if name.startswith(SLOWLY) else [pytest.mark.slow, pytest.mark.long])
        for name in proven()
    ],
)  # fmt: skip
def test_every_proven_record_of_the_library(name: str, tmp_path: Path) -> None:
    """Its proof file is accepted, and the optimum in it is the catalogue's."""
    instance, solution = solved(name)
    proof = proof_of(instance, solution)
    assert said(tmp_path, instance, proof).startswith("optimal")
    assert proof.head["objective"] == pytest.approx(instance.provenance.best_value, rel=1e-9)


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
    (tmp_path / "bad").write_bytes((tmp_path / "p").read_bytes().replace(b"3", b"4", 1))
    for name, status in (("p", 0), ("bad", 1), ("missing", 2)):
        words = [sys.executable, "-I", "-S", str(CHECKER), "i.matchopt", name]
        assert subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60).returncode == status
    done = subprocess.run([sys.executable, str(CHECKER)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "usage: python check_proof.py INSTANCE PROOF\n")


def test_what_has_no_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Shared lines have a proof but no file yet; a feasible instance has no proof that there is no solution."""
    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2)), bus=np.zeros(2, int)))
    optimum = brute_force(layer).solution
    assert certify(layer, optimum).optimal
    with pytest.raises(Refused, match="proof file does not understand shared-bus"):
        write_proof(layer, optimum, tmp_path / "p")
    with pytest.raises(Refused, match="no proof file: no rows are known"):
        write_proof(layer, None, tmp_path / "p")
    assert not (tmp_path / "p").exists()
