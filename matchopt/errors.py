"""Every exception matchopt raises on purpose, in one tree.

MatchoptError
├── InvalidInstance   (ValueError)    data that is no instance: wrong shape, NaN, index out of range
├── InvalidSolution   (ValueError)    data that is no solution of any instance of its kind
├── InvalidOption     (ValueError)    an option or limit of a solve that has the wrong type or is out of range
├── FormatError       (ValueError)    a file that cannot be read; names the file and the field or line
├── Refused           (ValueError)    a solver, reduction or proof that does not take this instance; says why
├── UnknownName       (LookupError)   a name nobody registered; lists what exists
├── DataError         (OSError)       a data set that is missing or altered
├── PluginError       (RuntimeError)  a plugin that cannot be loaded or breaks its contract
├── FolderInUse       (RuntimeError)  another run writes into the same folder of results
├── NoCluster         (OSError)       no cluster, or none with workers, at an address
└── MissingExtra      (ImportError)   an optional package that is not installed; names the pip command

An infeasible instance, a limit that was reached or a solver that crashed is no exception: it is a `Status`.
"""

import difflib
from collections.abc import Iterable
from typing import Any


class MatchoptError(Exception):
    """Base of all exceptions raised on purpose; its text is one clear sentence."""

    def __reduce__(self) -> tuple[Any, ...]:  # from its text: not every one is made from that
        return self.__class__.__new__, (self.__class__, *self.args)


class InvalidInstance(MatchoptError, ValueError):
    """The data is no instance of its kind; the message names the field and what was found."""


class InvalidSolution(MatchoptError, ValueError):
    """The data is no solution of its kind; whether a solution is *feasible* is asked of `matchopt.check`."""


class InvalidOption(MatchoptError, ValueError):
    """An option of a solver, or a limit of a solve, has the wrong type or is out of range."""


class FormatError(MatchoptError, ValueError):
    """A file cannot be read as the format it claims; the message names the file and the field or line."""


class Refused(MatchoptError, ValueError):
    """A solver, a reduction or a proof does not take this instance; the message is the reason."""


class UnknownName(MatchoptError, LookupError):
    """Nothing is registered under this name.

    Parameters
    ----------
    what : what was looked up, a noun such as "solver".
    name : the name as given.
    known : all names that exist; of very many, those that come close are said.
    """

    MOST = 60  # names in a sentence

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}" if close else ""
        shown = names if len(names) <= self.MOST else difflib.get_close_matches(name, names, n=5, cutoff=0.4)
        listing = ", ".join(shown) if names else "none"
        more = f"{', ' * bool(shown)}{len(names) - len(shown)} more" if len(shown) < len(names) else ""
        super().__init__(f"unknown {what} {name!r}{hint} (known: {listing}{more})")


class FormatWarning(UserWarning):
    """A file says something that programs read differently, and this is how it was read; an error under `--strict`."""


class DataError(MatchoptError, OSError):
    """A data set is missing or is not the published one."""


class PluginError(MatchoptError, RuntimeError):
    """A plugin cannot be loaded, or breaks the contract of its hook."""


class FolderInUse(MatchoptError, RuntimeError):
    """Another run writes into the same folder of results."""


class NoCluster(MatchoptError, OSError):
    """No cluster answers at an address, or it has no workers."""


class MissingExtra(MatchoptError, ImportError):
    """An optional package is needed and not installed.

    Parameters
    ----------
    task : what needs it, a phrase such as "solver cpsat".
    package : the package that is missing.
    extra : the extra of the matchopt distribution that brings it; empty for none.
    """

    def __init__(self, task: str, package: str, extra: str) -> None:
        how = f"install it with: pip install 'matchopt[{extra}]'" if extra else "install it first"
        super().__init__(f"{task} needs the package {package}; {how}")
