"""Which order the layers of a network have: that of the file, of numbers in the names, or the only one that fits."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

MAX_SEARCHED = 8  # layers whose arrangements are tried: 8! take a tenth of a second
_DIGITS = re.compile(r"(\d+)")

Fits = Callable[[Sequence[str]], bool]


class Uncertain(Exception):
    """Two orders fit; the message names both."""


def order_of(names: Sequence[str], fits: Fits, in_order: bool, search: bool = True) -> list[str] | None:
    """The order that fits, None where none does.

    Raises Uncertain when the order of the file and that of the numbers differ and both fit, or shapes leave several.

    Parameters
    ----------
    names : of the layers, as the file has them.
    fits : whether some names can be the first layers, in this order.
    in_order : whether the file keeps the order in which the layers were made. Safetensors files do not: there numbers
        count, and where not all names are numbered alike, the shapes, if they leave but one order.

    search : whether shapes alone may decide.
    """
    numbered = by_number(names)
    families = {_family(name) for name in names}
    whole, told = len(families) == 1, search or len(families) < len(names)  # numbers tell the direction
    known = [list(names), numbered] if in_order else [numbered] if whole else []
    found = [order for order in known if fits(order)]
    if not found and (told or not in_order) and len(names) <= MAX_SEARCHED:
        found = list(islice(_arranged([], numbered, fits), 2))
        if found and not told:
            raise Uncertain("the order of the layers is not certain: the file does not keep it")
    if len(found) == 2 and found[0] != found[1]:
        first, second = (", ".join(order) for order in found)
        raise Uncertain(f"the order of the layers is not certain: {first} fits, and {second} does, too")
    return found[0] if found else None


def by_number(names: Sequence[str]) -> list[str]:
    """The names in their places, but those that differ by a number only ascend: fc2, out, fc1 are fc1, out, fc2."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(_family(name), []).append(name)
    rising = {family: iter(sorted(members, key=_numbers)) for family, members in families.items()}
    return [next(rising[_family(name)]) for name in names]


def _arranged(begun: list[str], rest: Sequence[str], fits: Fits) -> Iterator[list[str]]:
    """All orders that fit and go on from `begun`; `rest` ascends in every family."""
    if not rest:
        yield begun
    tried = set()
    for name in rest:
        if _family(name) not in tried and fits([*begun, name]):
            yield from _arranged([*begun, name], [other for other in rest if other != name], fits)
        tried.add(_family(name))


def _family(name: str) -> str:
    return _DIGITS.sub("#", name)


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in _DIGITS.findall(name)]
