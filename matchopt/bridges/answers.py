"""Solutions as outside programs write them: columns of rows, values of variables, or a file that matchopt reads."""

import re
from pathlib import Path

import numpy as np

from matchopt.bridges.costs import result_of
from matchopt.bridges.running import MOST_ANSWER
from matchopt.claims import weighed
from matchopt.errors import PluginError
from matchopt.formats import read_solution
from matchopt.instances import AssignmentInstance, Instance, ProgramInstance, ProgramPoint
from matchopt.solver import Result, Status

COLUMNS, VALUES = "columns", "values"
WHOLE = 1e-5  # a whole variable this near to a whole number has that value
_NONE = re.compile(rb"\binfeasible\b", re.I)
_SAID = re.compile(rb"\b(optimal|objective|feasible)\b", re.I)


def read_answer(data: bytes, form: str, first: int, instance: Instance, exact: bool) -> Result:
    """What a program wrote, as a result.

    Parameters
    ----------
    data : all of it.
    form : "columns": the column of every row, as numbers with white space between them. "values": lines in which the
        name of a variable is followed by its value, as the solution files of most engines have them; variables
        without a line are 0. Otherwise the name of a format of matchopt's.
    first : number of the first column.
    instance : what was solved.
    exact : whether an answer is claimed to be optimal. Without a solution the word "infeasible" is a claim then.

    Raises
    ------
    PluginError
        when it is no answer.
    MatchoptError
        when it is not in the form.
    """
    if form == COLUMNS and isinstance(instance, AssignmentInstance):
        if _NONE.search(data[:4096]):
            return _nothing(exact)
        words = data.split(None, instance.n_cols)  # no more than can be meant
        try:
            numbers = [float(word) for word in words[: instance.n_rows]]
        except ValueError:
            raise PluginError(f"its answer is no list of columns; it begins with {_begin(data)}") from None
        return result_of(instance, np.array(numbers) - first, exact)
    if form == VALUES and isinstance(instance, ProgramInstance):
        return _values(data, instance, exact)
    raise AssertionError(f"{form} is no form of a {instance.kind}")


def read_file(path: Path, form: str, instance: Instance, exact: bool) -> Result:
    """A solution file that matchopt itself reads; see `read_answer`."""
    solution = read_solution(path, form, instance=instance)
    return Result(solution, Status.OPTIMAL if exact else Status.FEASIBLE)


def bytes_of(path: Path) -> bytes:
    """What a program left in a file, which must be an ordinary one of bounded size."""
    if path.is_symlink() or not path.is_file():
        raise PluginError(f"it ended well and left no file {path.name}; the command names it as {{solution}}")
    with path.open("rb") as file:
        data = file.read(MOST_ANSWER + 1)
    if len(data) > MOST_ANSWER:
        raise PluginError(f"it wrote more than {MOST_ANSWER >> 20} MiB")
    return data


def _nothing(exact: bool) -> Result:
    return Result(None, Status.INFEASIBLE if exact else Status.UNKNOWN, message="it says that there is no solution")


def _values(data: bytes, instance: ProgramInstance, exact: bool) -> Result:
    place = {instance.variable_name(v).encode(): v for v in range(instance.n_variables)}
    x, seen = np.zeros(instance.n_variables), np.zeros(instance.n_variables, bool)
    for line in data.splitlines():
        words = line.split(None, 4)[:4]
        at = next((n for n, word in enumerate(words[:-1]) if word in place), None)
        if at is None or seen[place[words[at]]]:  # some list reduced costs, under the same names, further down
            continue
        try:
            x[place[words[at]]] = float(words[at + 1])
        except ValueError:
            raise PluginError(f"its answer has no number after {words[at].decode()}: {_begin(line)}") from None
        seen[place[words[at]]] = True
    if not seen.any():
        if _NONE.search(data):
            return _nothing(exact)
        if instance.n_variables and not _SAID.search(data):
            raise PluginError(
                f"its answer names no variable, no status and no objective; it begins with {_begin(data)}"
            )
    if not np.isfinite(x).all():
        raise PluginError("its answer has a value that is no finite number")
    near = np.round(x)
    x = np.where(instance.integral & (np.abs(x - near) <= WHOLE), near, x)
    return weighed(instance, Result(ProgramPoint(x), Status.OPTIMAL if exact else Status.FEASIBLE))


def _begin(data: bytes) -> str:
    return repr(data[:40].decode("utf-8", "replace"))
