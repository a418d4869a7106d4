"""Instances and solutions in matchopt's own container, exactly."""

from dataclasses import dataclass
from pathlib import Path

from matchopt.errors import InvalidInstance
from matchopt.formats.container import Content, read_content, write_content
from matchopt.formats.sources import Source
from matchopt.instances import INSTANCES, SOLUTIONS, Instance, Provenance, Solution
from matchopt.instances.demands import DEMANDS, refuse_unknown
from matchopt.settings import read_object


@dataclass(frozen=True)
class SolutionFile:
    """A solution with what its file says about it.

    Parameters
    ----------
    solution : the decision.
    instance : digest of the instance it was made for; empty if unknown.
    solver : name of the solver that made it; empty if unknown.
    seed : seed the solver was given; None if unknown.
    """

    solution: Solution
    instance: str = ""
    solver: str = ""
    seed: int | None = None


def is_own(source: Source) -> bool:
    """Whether the file looks like a safetensors file."""
    return source.head[8:9] == b"{" and len(source.head) >= 10


def read_own(source: Source) -> Instance | SolutionFile:
    """Read an instance or a solution.

    Raises
    ------
    FormatError
        naming the file and the field that is wrong.
    """
    content = read_content(source, "instance", "solution")
    with source.named():
        if content.kind not in INSTANCES:
            raise InvalidInstance(f"kind must be one of {', '.join(INSTANCES)}, found {content.kind!r}")
        if content.role == "instance":
            return INSTANCES[content.kind].from_parts(content.parts, Provenance.from_facts(content.notes))
        solution = SOLUTIONS[content.kind].from_parts(content.parts)
        return read_object(SolutionFile, {**content.notes, "solution": solution}, "notes", InvalidInstance)


def write_own(thing: Instance | SolutionFile, path: Path) -> None:
    """Write an instance or a solution; equal content gives equal bytes.

    Raises
    ------
    Refused
        when the names in the instance do not fit the largest header, or it has a demand outside the vocabulary, which
        no reader would find again.
    """
    if isinstance(thing, Instance):
        refuse_unknown(thing, DEMANDS, "the format matchopt")
    write_content(path, content_of(thing))


def content_of(thing: Instance | SolutionFile) -> Content:
    """What a file of this instance or solution holds."""
    if isinstance(thing, Instance):
        return Content("instance", thing.kind, thing.parts(), thing.provenance.facts())
    notes = {"instance": thing.instance, "solver": thing.solver, "seed": thing.seed}
    return Content("solution", thing.solution.kind, thing.solution.parts(), notes)
