"""The one container: its four roles are told apart, every flipped bit is noticed, and older files read as ever."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formats.files import SMALL, assignment, solution
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from matchopt.errors import FormatError, InvalidOption
from matchopt.formats import SolutionFile, read, read_instance, read_solution, write
from matchopt.formats.container import ROLES, Content, is_container, read_content, to_bytes
from matchopt.formats.own import content_of
from matchopt.formats.sources import Source
from matchopt.instances import AssignmentInstance
from matchopt.instances.architecture import architecture_from
from matchopt.library import problems_folder
from matchopt.network.foreign import read_network
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.checkpoint import Checkpoint
from matchopt.parts import Parts

LEGACY = Path(__file__).parent / "legacy"  # written by matchopt 0.1.0, before all roles shared one layout
EXPECTED: dict[str, Any] = json.loads((LEGACY / "expected.json").read_text())
SHIPPED = sorted((problems_folder() / "instances").glob("*.matchopt"))
INNER = Parts({"steps": 3, "rate": 1e-07}, {"values": np.arange(3.0), "flags": np.array([True, False])})
CONTENTS = {
    "instance": content_of(SMALL),
    "solution": content_of(SolutionFile(solution(assignment(6), 6), "ab" * 32, "greedy", 6)),
    "network": Content("network", "sparse-network", INNER),
    "checkpoint": Content("checkpoint", "training", INNER, {"colour": "red"}),
}
FILES = {role: to_bytes(content) for role, content in CONTENTS.items()}
READERS: dict[str, Callable[[Path], object]] = {
    "instance": read_instance,
    "solution": read_solution,
    "network": read_network,
    "checkpoint": lambda path: Checkpoint(path, {}).read(),
}


def read_bytes(folder: Path, content: bytes, *roles: str) -> Content:
    path = folder / "x.matchopt"
    path.write_bytes(content)
    return read_content(Source(path), *(roles or ROLES))


def refuses_a_flip(folder: Path, role: str, at: int) -> None:
    """With bit `at` flipped, the file is refused by a sentence that names it."""
    content = bytearray(FILES[role])
    content[at // 8] ^= 1 << at % 8
    with pytest.raises(FormatError, match=r"x\.matchopt: "):
        read_bytes(folder, bytes(content))


@pytest.mark.parametrize("role", ROLES)
def test_every_role_comes_back_equal(tmp_path: Path, role: str) -> None:
    """Role, kind, facts, arrays and notes; and the second file has the same bytes."""
    found, wanted = read_bytes(tmp_path, FILES[role]), CONTENTS[role]
    assert (found.role, found.kind, found.notes) == (wanted.role, wanted.kind, wanted.notes)
    assert found.parts.digest("x") == wanted.parts.digest("x")
    assert to_bytes(found) == FILES[role]
    assert is_container(Source(tmp_path / "x.matchopt"))


def test_a_flipped_bit_in_any_byte_is_noticed(tmp_path: Path) -> None:
    """Schema, role, kind, facts, notes, arrays, hash, the header around them: all of it."""
    for at in range(len(FILES["instance"])):
        refuses_a_flip(tmp_path, "instance", 8 * at + at % 8)


@given(st.sampled_from(ROLES), st.integers(0, 2**20))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, role: str, at: int) -> None:
    """The same for any bit, in all roles."""
    refuses_a_flip(tmp_path_factory.getbasetemp(), role, at % (8 * len(FILES[role])))


def test_another_rule_in_the_header_is_noticed(tmp_path: Path) -> None:
    """A fact that is exchanged for another valid one of the same length."""
    content = to_bytes(Content("network", "sparse-network", Parts({"drop": False, "n": 1})))
    with pytest.raises(FormatError, match="sha256 differs"):
        read_bytes(tmp_path, content.replace(rb"\"drop\":false,\"n\":1", rb"\"drop\":true,\"n\":10"))
    with pytest.raises(FormatError, match="must be canonical JSON"):
        read_bytes(tmp_path, content.replace(rb"\"drop\":false", rb"\"drop\":true "))


@pytest.mark.parametrize("wanted", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_a_file_of_another_role_says_what_it_holds(tmp_path: Path, role: str, wanted: str) -> None:
    """One sentence with both roles, from every reader."""
    path = tmp_path / "x.matchopt"
    path.write_bytes(FILES[role])
    if role != wanted:
        holds = f"holds an? {role} of kind {CONTENTS[role].kind}, an? .*{wanted}.* is needed"
        with pytest.raises(FormatError, match=rf"{path}: {holds}"):
            READERS[wanted](path)


@pytest.mark.parametrize("role", ROLES)
def test_a_newer_file_is_refused_by_one_sentence(tmp_path: Path, role: str) -> None:
    """It says who wrote it and what to do."""
    content = FILES[role].replace(rb"\"schema\":3", rb"\"schema\":4")
    with pytest.raises(FormatError, match="schema is 4: written by a newer matchopt, this one reads up to 3; upgrade"):
        read_bytes(tmp_path, content)


def schema_of(path: Path) -> int:
    with safe_open(str(path), framework="numpy") as file:
        return int(json.loads(file.metadata()["matchopt"])["schema"])


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("instance")])
def test_older_instances_read_equal(name: str) -> None:
    """Digest and provenance are those that the older version computed."""
    assert schema_of(LEGACY / name) < 3
    found = read_instance(LEGACY / name)
    assert found.digest == EXPECTED[name]["digest"]
    assert found.provenance.facts() == EXPECTED[name]["provenance"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("solution")])
def test_older_solutions_read_equal(name: str) -> None:
    """The decision and what is said about it."""
    assert schema_of(LEGACY / name) < 3
    found = read(LEGACY / name)
    assert isinstance(found, SolutionFile)
    noted = {"instance": found.instance, "solver": found.solver, "seed": found.seed}
    assert noted | {"digest": found.solution.digest} == EXPECTED[name]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_instances_read_equal(path: Path, tmp_path: Path) -> None:
    """Whatever layout they are in, what is read is what their arrays and facts say, and survives being written."""
    with safe_open(str(path), framework="numpy") as file:
        about = json.loads(file.metadata()["matchopt"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
    found = read_instance(path)
    assert found.digest == Parts(about["facts"], arrays).digest(about["kind"])
    write(found, tmp_path / "x.matchopt")
    again = read_instance(tmp_path / "x.matchopt")
    assert (again.digest, again.provenance) == (found.digest, found.provenance)


def layers_of(network: SparseNetwork) -> list[dict[str, Any]]:
    return [
        {"weights": layer.weights.tolist(), "mask": layer.mask.astype(int).tolist(), "biases": layer.biases.tolist()}
        for layer in network.layers
    ]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("network")])
def test_older_networks_read_equal(name: str) -> None:
    """Weights, connections, biases, statistics, architecture and record."""
    assert schema_of(LEGACY / name) < 3
    network, wanted = read_network(LEGACY / name), EXPECTED[name]
    assert layers_of(network) == wanted["layers"]
    assert {name: array.tolist() for name, array in network.buffers.items()} == wanted["buffers"]
    assert network.architecture == architecture_from(wanted["architecture"])
    record = wanted["record"]
    assert (network.record.method, network.record.config, network.record.seed) == (
        record["method"], record["config"], record["seed"],
    )  # fmt: skip
    assert network.record.data is not None
    assert network.record.data.sha256 == record["data"]["sha256"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name.startswith("checkpoint")])
def test_older_checkpoints_read_equal(name: str) -> None:
    """Where the run was, its best network, the method's state and that of the streams."""
    assert schema_of(LEGACY / name) < 3
    wanted = EXPECTED[name]
    found = Checkpoint(LEGACY / name, wanted["run"]).read()
    assert found is not None
    position, state, streams = found
    assert [[past.epoch, past.loss, past.validation_accuracy] for past in position.history] == wanted["history"]
    assert position.best is not None
    assert layers_of(position.best) == wanted["best"]
    assert (position.best_accuracy, position.waited, streams) == (
        wanted["best_accuracy"], wanted["waited"], wanted["streams"],
    )  # fmt: skip
    assert state.digest("state") == wanted["state"]


@pytest.mark.parametrize("name", list(EXPECTED))
def test_damage_to_older_files_is_noticed(name: str, tmp_path: Path) -> None:
    """As before: the arrays of all roles are under a hash, the facts of networks and checkpoints too."""
    content = bytearray((LEGACY / name).read_bytes())
    content[-1] ^= 1
    with pytest.raises(FormatError, match="sha256 differs"):
        read_bytes(tmp_path, bytes(content))
    assert isinstance(read_bytes(tmp_path, (LEGACY / name).read_bytes()), Content)


def test_an_older_file_with_a_key_too_many_is_refused(tmp_path: Path) -> None:
    """Older layouts are checked as strictly as they were."""
    content = (LEGACY / "instance-assignment-5.matchopt").read_bytes()
    with pytest.raises(FormatError, match="metadata: 'kind' is missing"):
        read_bytes(tmp_path, content.replace(rb"\"kind\"", rb"\"kynd\""))


def test_a_file_written_as_the_document_shows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of Python in docs/formats.md need nothing of ours and make an instance."""
    document = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    (block,) = (text for text in re.findall(r"```python\n(.*?)```", document, re.S) if "save_file" in text)
    assert "import matchopt" not in block
    assert "from matchopt" not in block
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    found = read_instance("two-by-two.matchopt")
    assert found.digest == AssignmentInstance(np.array([[4, 1], [2, 3]])).digest
    assert found.name == "two-by-two"


EVIL: list[Any] = [None, -1, 2**70, "x", [[]], {"a": 1}]


def wrong_ones(facts: Any) -> Iterator[Any]:
    """The facts with one of them, at any depth, left out or something that it cannot be."""
    if not isinstance(facts, dict | list):
        return
    for at in list(facts) if isinstance(facts, dict) else range(min(1, len(facts))):
        if at == "run":  # which is compared whole
            continue
        for value in EVIL:
            other = copy.copy(facts)
            other[at] = value
            yield other
        for inner in wrong_ones(facts[at]):
            other = copy.copy(facts)
            other[at] = inner
            yield other
        rest = copy.copy(facts)
        del rest[at]
        yield rest


@pytest.mark.parametrize(
    "name", [name for name in EXPECTED if not name.startswith(("solution", "instance-assignment"))]
)
def test_facts_that_cannot_be_are_one_sentence_under_a_right_hash_too(tmp_path: Path, name: str) -> None:
    """Whoever writes such a file by hand, or by a broken program: each reader names the file, or takes the fact."""
    content, path = read_content(Source(LEGACY / name), *ROLES), tmp_path / "x.matchopt"
    about, refused = EXPECTED[name].get("run", {}), 0
    for facts in wrong_ones(dict(content.parts.facts)):
        path.write_bytes(
            to_bytes(Content(content.role, content.kind, Parts(facts, content.parts.arrays), content.notes))
        )
        try:
            Checkpoint(path, about).read() if content.role == "checkpoint" else READERS[content.role](path)
        except (FormatError, InvalidOption) as cause:
            assert str(path) in str(cause)
            refused += 1
    assert refused > 5
