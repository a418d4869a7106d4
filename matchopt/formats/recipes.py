"""Recipes as text: what an instance is made from, in one line of a table.

`planted rows=8 inputs=8 ..` names the fields of `matchopt.instances.planted.Recipe`; `qaplib chr12a.dat SHA-256` is a
file of the library as the crossbar that it is.
"""

import hashlib
from dataclasses import replace

from matchopt.errors import DataError, FormatError
from matchopt.formats.qaplib import read_qap
from matchopt.formats.sources import Source
from matchopt.instances.base import Provenance
from matchopt.instances.planted import Planted, Recipe, planted
from matchopt.library import LIBRARY_VARIABLE, library_folder
from matchopt.settings import Unfit, read_fields


def recipe_from(text: str) -> Recipe:
    """The numbers of a recipe of the form `planted name=value ..`.

    Raises
    ------
    FormatError
        naming what is wrong in it.
    """
    family, *words = text.split() or [""]
    given = dict(word.partition("=")[::2] for word in words)
    if family != "planted" or len(given) != len(words):
        raise FormatError(f"a recipe reads planted name=value .., each name once, found {text[:80]!r}")
    try:
        return Recipe(**read_fields(Recipe, given, text=True))
    except Unfit as cause:
        raise FormatError(f"recipe {text[:80]!r}: {'.'.join(cause.path)} {cause.message}") from None


def made(text: str, name: str) -> Planted:
    """The instance of a recipe, called `name`.

    Raises
    ------
    FormatError
        for text that is no recipe.
    DataError
        when it names a file that is not there, or is another one.
    """
    if not text.startswith("qaplib "):
        recipe = recipe_from(text)
        return planted(recipe, Provenance(name, text, recipe.seed))
    words = text.split()
    folder = library_folder()
    if folder is None or len(words) != 3:
        raise DataError(
            f"{name} is made from a file of QAPLIB ({text}); set {LIBRARY_VARIABLE} to its library's folder"
        )
    path = folder / "instances" / "qaplib" / words[1]
    if not path.is_file():
        raise DataError(f"{name} is made from {path}, which is missing")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != words[2]:
        raise DataError(f"{name} is made from {path}, whose SHA-256 is {found} and should be {words[2]}")
    layer = read_qap(Source(path))
    return Planted(replace(layer, provenance=replace(layer.provenance, name=name)), None, None)
