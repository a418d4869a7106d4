"""The table of file formats, and reading and writing by name, ending or content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matchopt.errors import FormatError, Refused, UnknownName
from matchopt.formats.fusion_csv import write_fusion
from matchopt.formats.lp import write_lp
from matchopt.formats.masks import write_mask_tables, write_masks
from matchopt.formats.mps_read import is_mps, read_mps
from matchopt.formats.mps_write import write_mps
from matchopt.formats.opb import write_opb
from matchopt.formats.orlib_assignment import is_dense, is_sparse, read_dense, read_sparse, write_dense, write_sparse
from matchopt.formats.orlib_gap import is_gap, read_gap
from matchopt.formats.own import SolutionFile, is_own, read_own, write_own
from matchopt.formats.qaplib import is_crossbar, is_qap, read_qap, write_qap
from matchopt.formats.sources import Source
from matchopt.formats.summary import write_summary
from matchopt.formats.wiring_csv import is_wiring_csv, read_wiring_csv, write_wiring_csv
from matchopt.formats.wiring_json import is_wiring_json, read_wiring_json, write_wiring_json
from matchopt.instances import AssignmentInstance, Instance, LayerMapping, NetworkMapping, ProgramInstance, Solution

Thing = Instance | SolutionFile


@dataclass(frozen=True)
class Format:
    """One file format.

    Parameters
    ----------
    name : how users call it.
    about : one line for tables.
    endings : of files, without .gz; the first is the usual one.
    sniff : whether a file looks like it, from its content.
    read : reads a file; None where the format is only written, or needs an instance to be read.
    takes : whether a thing can be written in it.
    write : writes a thing; None where the format is only read. The instance is that of a solution.
    read_for : reads the solution of a given instance; None where the format does not need one.
    """

    name: str
    about: str
    endings: tuple[str, ...]
    sniff: Callable[[Source], bool]
    read: Callable[[Source], Thing] | None
    takes: Callable[[Thing], bool] = lambda thing: False
    write: Callable[[Any, Path, Instance | None], None] | None = None
    read_for: Callable[[Source, Instance], SolutionFile] | None = None


def _is_mapping(thing: Thing) -> bool:
    return isinstance(thing, SolutionFile) and isinstance(thing.solution, LayerMapping | NetworkMapping)


def _is_program(thing: Thing) -> bool:
    return isinstance(thing, ProgramInstance)


def _is_assignment(thing: Thing) -> bool:
    return isinstance(thing, AssignmentInstance)


def _lists_all_pairs(thing: Thing) -> bool:
    return isinstance(thing, AssignmentInstance) and not thing.is_sparse


def _alone(write: Callable[[Any, Path], None]) -> Callable[[Any, Path, Instance | None], None]:
    return lambda thing, path, instance: write(thing, path)


def _with_instance(write: Callable[[Solution, Instance, Path], object]) -> Callable[[Any, Path, Instance | None], None]:
    def written(thing: SolutionFile, path: Path, instance: Instance | None) -> None:
        if instance is None:
            raise Refused("a wiring table needs the instance of the mapping; pass instance=")
        write(thing.solution, instance, path)

    return written


_OWN = "matchopt's own: any instance or solution, exact (safetensors)"
_EYES = "integer linear programs, for eyes (write only)"
_OPB = "programs of 0 and 1 for pseudo-Boolean solvers, whole numbers (write only)"
_DENSE = "OR-Library linear assignment, dense"
_SPARSE = "OR-Library linear assignment, allowed pairs only"
_GAP = "OR-Library generalised assignment, as a program (read only)"
_QAP = "QAPLIB quadratic assignment, as a crossbar"
_WIRING = "mapping as a wiring table for chip tool chains"
_JSON, _CSV, _MASKS, _MASK_TABLES, _FUSION, _SUMMARY = map(
    _with_instance, (write_wiring_json, write_wiring_csv, write_masks, write_mask_tables, write_fusion, write_summary)
)
_ALL = (
    Format("matchopt", _OWN, (".matchopt",), is_own, read_own, lambda thing: True, _alone(write_own)),
    Format("mps", "integer linear programs", (".mps",), is_mps, read_mps, _is_program, _alone(write_mps)),
    Format("lp", _EYES, (".lp",), lambda source: False, None, _is_program, _alone(write_lp)),
    Format("opb", _OPB, (".opb",), lambda source: False, None, _is_program, _alone(write_opb)),
    Format("orlib-assignment", _DENSE, (".txt",), is_dense, read_dense, _lists_all_pairs, _alone(write_dense)),
    Format(
        "orlib-assignment-sparse", _SPARSE, (".txt",), is_sparse, read_sparse, _is_assignment,
        _alone(write_sparse),
    ),
    Format("orlib-gap", _GAP, (".gap",), is_gap, read_gap),
    Format("qaplib", _QAP, (".dat",), is_qap, read_qap, is_crossbar, _alone(write_qap)),
    Format(
        "wiring-json", f"{_WIRING}, JSON", (".wiring.json", ".json"), is_wiring_json, None, _is_mapping, _JSON,
        read_wiring_json,
    ),
    Format("fusion-csv", "measured conductances of a mapping as IBM Fusion CSV (write only)", (".fusion.csv",),
           lambda source: False, None, _is_mapping, _FUSION),
    Format("summary", "what a mapping asks of the chip, for eyes (write only)", (".summary.txt",), lambda source: False,
           None, _is_mapping, _SUMMARY),
    Format(
        "wiring-csv", f"{_WIRING}, CSV", (".wiring.csv", ".csv"), is_wiring_csv, None, _is_mapping, _CSV,
        read_wiring_csv,
    ),
    Format("masks-csv", "mapping as tables of 0 and 1, one for each of the chip's arrays (write only)",
           (".masks.csv",), lambda source: False, None, _is_mapping, _MASK_TABLES),
    Format("masks", "mapping as masks of the chip's arrays (write only)", (".masks.npz", ".npz"), lambda source: False,
           None, _is_mapping, _MASKS),
)  # fmt: skip
FORMATS: Mapping[str, Format] = MappingProxyType({entry.name: entry for entry in _ALL})


def read(path: str | PathLike[str], format: str | None = None, *, instance: Instance | None = None) -> Thing:
    """Read an instance or a solution from a file, compressed with gzip or not.

    Parameters
    ----------
    path : the file.
    format : name of the format; None to recognise it from content and ending.
    instance : the instance of the solution; only wiring tables need it.

    Raises
    ------
    FormatError
        naming the file and the field or line that is wrong.
    UnknownName
        for a format that does not exist.
    """
    source = Source(Path(path))
    chosen = _recognise(source) if format is None else format_named(format)
    if chosen.read is not None:
        return chosen.read(source)
    if chosen.read_for is None:
        raise source.error(f"format {chosen.name} is only written, never read")
    if instance is None:
        raise source.error(f"format {chosen.name} is read for an instance, and none was given; pass instance=")
    return chosen.read_for(source, instance)


def load(path: str | PathLike[str]) -> Instance:
    """Load an instance from a file, whatever its format: `layer = matchopt.load("layer.matchopt")`.

    See `read_instance`, which takes the name of a format too.
    """
    return read_instance(path)


def read_instance(path: str | PathLike[str], format: str | None = None) -> Instance:
    """Read an instance; see `read`."""
    found = read(path, format)
    if not isinstance(found, Instance):
        raise FormatError(f"{path}: holds a solution of kind {found.solution.kind}, an instance is needed")
    return found


def read_solution(
    path: str | PathLike[str], format: str | None = None, *, instance: Instance | None = None, related: bool = False
) -> Solution:
    """Read a solution; see `read`, which also returns what the file says about it.

    Parameters
    ----------
    path, format, instance : see `read`.
    related : whether a solution of another instance will do, as one to begin from.

    Raises
    ------
    FormatError
        also when the file says that the solution is of another instance than the one given.
    """
    found = read(path, format, instance=instance)
    if isinstance(found, Instance):
        raise FormatError(f"{path}: holds an instance of kind {found.kind}, a solution is needed")
    if not related:
        _check_owner(found, instance, path)
    return found.solution


def write(
    thing: Instance | Solution | SolutionFile,
    path: str | PathLike[str],
    format: str | None = None,
    *,
    instance: Instance | None = None,
) -> None:
    """Write an instance or a solution: the whole file or nothing; compressed when the path ends in .gz.

    Parameters
    ----------
    thing : what to write; a `SolutionFile` says more about a solution than the solution alone.
    path : the file; one that exists is replaced.
    format : name of the format; None to choose it by the ending of `path`.
    instance : the instance of a solution; wiring tables need it, the own format notes its digest.

    Raises
    ------
    Refused
        when the format cannot hold this thing.
    FormatError
        when a solution says that it is of another instance than the one given.
    UnknownName
        for a format that does not exist.
    OSError
        when the file cannot be written.
    """
    target = Path(path)
    if isinstance(thing, Solution):
        thing = SolutionFile(thing, "" if instance is None else instance.digest)
    elif isinstance(thing, SolutionFile):
        _check_owner(thing, instance, target)
    chosen = _by_ending(target, thing) if format is None else format_named(format)
    if chosen.write is None:
        raise Refused(f"format {chosen.name} is only read, never written")
    if not chosen.takes(thing):
        able = " or ".join(entry.name for entry in _ALL if entry.write is not None and entry.takes(thing))
        raise Refused(f"format {chosen.name} ({chosen.about}) cannot hold {_called(thing)}; write {able}")
    chosen.write(thing, target, instance)


def format_named(name: str) -> Format:
    """The format called `name`; raises UnknownName."""
    if name not in FORMATS:
        raise UnknownName("format", name, FORMATS)
    return FORMATS[name]


def recognise(path: str | PathLike[str]) -> Format:
    """The format of a file, from its content and, where that fits several or none, its ending.

    Raises
    ------
    FormatError
        when neither decides.
    """
    return _recognise(Source(Path(path)))


def _recognise(source: Source) -> Format:
    fitting = [entry for entry in _ALL if entry.sniff(source)]
    if len(fitting) == 1:
        return fitting[0]
    named = [entry for entry in (fitting or _ALL) if _ends(source.path, entry)]
    if len(named) == 1:
        return named[0]
    if fitting:
        names = " and ".join(entry.name for entry in fitting)
        raise source.error(f"the content fits {names}; name the format")
    if source.other:
        raise source.error(f"the file is not read{source.other}")
    begin = source.head[:20].decode("utf-8", "backslashreplace")
    known = ", ".join(entry.name for entry in _ALL if entry.read or entry.read_for)
    raise source.error(f"format not recognised, the file begins with {begin!r}; name the format (known: {known})")


def _by_ending(path: Path, thing: Thing) -> Format:
    named = [entry for entry in _ALL if entry.write is not None and _ends(path, entry)]
    fitting = [entry for entry in named if entry.takes(thing)]
    if fitting:
        return fitting[0]
    if named:
        raise Refused(f"{path}: format {named[0].name} ({named[0].about}) cannot hold {_called(thing)}")
    able = [entry.endings[0] for entry in _ALL if entry.write is not None and entry.takes(thing)]
    raise Refused(
        f"{path}: the ending names no format for {_called(thing)}; end it in {' or '.join(dict.fromkeys(able))}"
    )


def check_ending(path: Path, kind: str) -> None:
    """Refuse an ending that no file of a solution has, before there is one to write.

    Parameters
    ----------
    path : of the file.
    kind : of the instance.
    """
    mapped = kind in ("layer", "network")
    able = [one for one in _ALL if one.name == "matchopt" or (mapped and one.takes is _is_mapping)]
    if not any(_ends(path, one) for one in able):
        raise Refused(f"{path}: the ending names no format for a {kind} solution; end it in "
                      f"{' or '.join(one.endings[0] for one in able)}")  # fmt: skip


def _ends(path: Path, entry: Format) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(entry.endings)


def _called(thing: Thing) -> str:
    return f"an instance of kind {thing.kind}" if isinstance(thing, Instance) else f"a {thing.solution.kind} solution"


def _check_owner(found: SolutionFile, instance: Instance | None, path: object) -> None:
    if instance is not None and found.instance not in ("", instance.digest):
        raise FormatError(
            f"{path}: holds a solution of another instance, with digest {found.instance[:12]}; this one, "
            f"{instance.name}, has {instance.digest[:12]}"
        )
