"""Files that describe an outside program as a solver. TOML, read strictly."""

import dataclasses
import keyword
import shutil
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from matchopt.bridges.answers import COLUMNS, VALUES
from matchopt.bridges.costs import UNDERSTOOD
from matchopt.bridges.executable import GIVEN, ExecutableSolver, Program
from matchopt.bridges.function import made_class
from matchopt.formats.registry import FORMATS
from matchopt.formats.sources import Source
from matchopt.instances import INSTANCES
from matchopt.settings import read_object
from matchopt.solver import Solver

MOST_BYTES = 2**16
# What no option can be called: the class made of a description would lose it.
TAKEN = {*GIVEN, *keyword.kwlist, *dir(ExecutableSolver), *ExecutableSolver.__annotations__, *Solver.__annotations__}
# What a command is tried with, in the types that a solve gives.
_TRIED = {**dict.fromkeys(GIVEN, 1), "instance": Path(), "solution": Path(), "folder": Path(), "seconds": "1.000"}
USUAL = {"assignment": ("orlib-assignment", COLUMNS), "program": ("mps", VALUES)}


@dataclass(frozen=True)
class ProgramOption:
    """An option of an outside program.

    Parameters
    ----------
    default : its value unless it is set; its type is the option's.
    about : what it means, in a few words.
    """

    default: int | float | str | bool
    about: str


@dataclass(frozen=True)
class Description:
    """What a file says of an outside program.

    Parameters
    ----------
    name : of the solver: lower-case words with dashes between them.
    solves : kind of the instances it takes.
    command : the program and its arguments. A program with a slash in it is relative to the file, one without is
        searched for. {instance} and {solution} stand for files, {folder} for the folder of this one, {seconds},
        {seed}, {threads} and the names of options for numbers. Without {solution} the answer is what it prints.
    input : format it reads; empty for orlib-assignment (assignments), mps (programs) or matchopt.
    output : what it writes, see `answers.read_answer`; empty for columns, values or matchopt.
    first_column : number of the first column in its answers.
    exact : whether its answers are optimal, where it ends by itself with exit status 0.
    understands : demands it takes; left out: what its formats can say.
    about : one sentence on what it does.
    options : by name.
    """

    name: str
    solves: Literal["assignment", "program", "layer", "network"]
    command: tuple[str, ...]
    input: str = ""
    output: str = ""
    first_column: Literal[0, 1] = 0
    exact: bool = False
    understands: tuple[str, ...] | None = None
    about: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def executable_solver(path: str | PathLike[str]) -> type[Solver]:
    """Make a solver of an outside program that a small TOML file describes (docs/plugin-tutorial.md has its keys).

    The program runs in a session of its own, with bounds on its time, its memory, what it prints and what it writes.

    Parameters
    ----------
    path : the file.

    Returns
    -------
    type
        a solver class, for `registering`.

    Raises
    ------
    FormatError
        naming the file and what is wrong with it, a program that is not there included.
    """
    source = Source(Path(path))
    if len(source.data) > MOST_BYTES:
        raise source.error(f"at most {MOST_BYTES} bytes are read, found {len(source.data)}")
    try:
        facts = tomllib.loads(source.data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise source.error(f"no TOML: {cause}") from None
    said = read_object(Description, facts, "the description of a program", source.error)
    given = said.options.items()
    options = {name: read_object(ProgramOption, each, f"option {name}", source.error) for name, each in given}
    program = Program(
        command=_command(said, source, options),
        input=said.input or USUAL.get(said.solves, ("matchopt", ""))[0],
        output=said.output or USUAL.get(said.solves, ("", "matchopt"))[1],
        first=said.first_column,
        folder=source.path.resolve().parent,
    )
    _check_forms(said, program, source)
    understands = UNDERSTOOD if said.solves == "assignment" else None
    about = said.about or f"The program {Path(said.command[0]).name}."
    parameters = "".join(f"    {name} : {each.about}\n" for name, each in options.items())
    return made_class(
        said.name,
        [(name, type(each.default), dataclasses.field(default=each.default)) for name, each in options.items()],
        ExecutableSolver,
        {
            "name": said.name,
            "solves": INSTANCES[said.solves],
            "role": "exact" if said.exact else "heuristic",
            "program": program,
            "understands": understands if said.understands is None else frozenset(said.understands),
            "__doc__": f"{about}\n\n    Parameters\n    ----------\n{parameters}" if options else about,
        },
    )


def _command(said: Description, source: Source, options: Mapping[str, ProgramOption]) -> tuple[str, ...]:
    """The command with its program found."""
    known = (*GIVEN, *options)
    for word in said.command:
        try:
            names = [name for _, name, _, _ in string.Formatter().parse(word) if name is not None]
        except ValueError as cause:
            raise source.error(f"command: {word!r}: {cause}; write {{{{ for a brace") from None
        for name in names:
            if name not in known:
                raise source.error(f"command: {{{name}}} stands for nothing (known: {', '.join(known)})")
        try:
            word.format(**_TRIED | {name: each.default for name, each in options.items()})
        except (ValueError, TypeError, LookupError) as cause:
            raise source.error(f"command: {word!r}: {cause}; write names alone, as {{seconds}}") from None
    if not any("{instance}" in word for word in said.command):
        raise source.error("command: {instance} is missing: the file that the program reads")
    strange = next((name for name in options if name in TAKEN or not name.isidentifier()), None)
    if strange is not None:
        raise source.error(f"options: {strange!r} is taken, or no word of letters, digits and underscores")
    program = said.command[0]
    found = source.path.resolve().parent / program if "/" in program else shutil.which(program)
    if found is None or not Path(found).is_file():
        raise source.error(f"there is no program {program}; install it, or correct the first word of command")
    return (str(found), *said.command[1:])


def _check_forms(said: Description, program: Program, source: Source) -> None:
    if program.input not in FORMATS or FORMATS[program.input].write is None:
        able = ", ".join(name for name, entry in FORMATS.items() if entry.write is not None)
        raise source.error(f"input: no format that is written, found {program.input!r} (known: {able})")
    own = {"assignment": COLUMNS, "program": VALUES}.get(said.solves)
    if program.output not in FORMATS and program.output != own:
        known = ", ".join(filter(None, (own, *FORMATS)))
        raise source.error(f"output: a {said.solves} has no solutions as {program.output!r} (known: {known})")
    if program.output in FORMATS and not any("{solution}" in word for word in said.command):
        raise source.error("command: {solution} is missing: the file that the program writes")
