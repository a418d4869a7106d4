"""Where a result comes from: versions of what made it, and digests of what it was made from."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matchopt
from matchopt.errors import MatchoptError
from matchopt.network.data.registry import load_data
from matchopt.plugins import Entry
from matchopt.run.perform import versions

Facts = dict[str, Any]


def origin_of(entries: Sequence[Callable[[], Entry[Any]]]) -> Facts:
    """The versions of matchopt, of the plugins that bring these solvers or trainers, and of the engines they use.

    Parameters
    ----------
    entries : look one entry up each; one that is not there is a fact, too, as the run itself will say.
    """
    found: Facts = {"matchopt": matchopt.__version__}
    for look in entries:
        try:
            entry = look()
        except MatchoptError as cause:
            return found | {"missing": str(cause)}
        # A plugin file has the start of its SHA-256 for a version.
        found[entry.cls.name] = f"{entry.distribution or entry.plugin} {entry.version}"
        found |= versions(entry.cls)
    return found


@functools.lru_cache(maxsize=16)
def data_facts(name: str, options: tuple[tuple[str, Any], ...]) -> Mapping[str, Any]:
    """Name and digest of a data set, or why it is not here; its content is not kept."""
    try:
        reference = load_data(name, **dict(options)).reference
    except MatchoptError as cause:
        return {"name": name, "missing": str(cause)}
    return {"name": reference.name, "sha256": reference.sha256}
