"""Units as instruments write them, and what measured quantities in them are as conductances: no value is rescaled."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from matchopt.errors import FormatError

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_SHORT = {power: prefix for prefix, power in _PREFIXES.items()}
_BASES = {"s": "S", "siemens": "S", "mho": "S", "ohm": "Ohm", "ohms": "Ohm", "a": "A", "ampere": "A", "v": "V",
          "volt": "V", "volts": "V", "sec": "s", "second": "s", "seconds": "s"}  # fmt: skip
_NAMED = {"S": "conductance", "Ohm": "resistance", "A": "current", "V": "voltage", "s": "time"}
_UNIT = re.compile(r"(?P<prefix>[fpnumkKMG]?)(?P<base>[A-Za-z]+)")
_IN_LABEL = re.compile(r"\s*(?:\((?P<a>[^()]*)\)|\[(?P<b>[^\[\]]*)\]|/\s*(?P<c>\S+))\s*$")
_NONE = {"", "1", "-", "a.u.", "au", "arb", "arb."}  # no unit, or one that says nothing


@dataclass(frozen=True)
class Unit:
    """A unit: a power of ten of a base unit, S, Ohm, A, V or s; "" for none."""

    base: str = ""
    power: int = 0

    def __str__(self) -> str:
        """As in uS."""
        return f"{_SHORT[self.power]}{self.base}"

    @property
    def quantity(self) -> str:
        """What is measured in it; "" where it says nothing."""
        return _NAMED.get(self.base, "")


def parse_unit(text: str) -> Unit | None:
    """The unit that a text names, such as uS, kOhm or [mA]; None where it names none that is known.

    Parameters
    ----------
    text : micro may be u or either Greek letter, Ohm the Greek letter.
    """
    plain = text.strip().strip("()[]").strip()
    for sign, letter in (("\u00b5", "u"), ("\u03bc", "u"), ("\u03a9", "Ohm"), ("\u2126", "Ohm")):
        plain = plain.replace(sign, letter)
    if plain.lower() in _NONE:
        return Unit()
    if plain.lower() in _BASES and (plain != "s" and len(plain) > 1):
        return Unit(_BASES[plain.lower()])
    found = _UNIT.fullmatch(plain)
    base = None if found is None else {"S": "S", "A": "A", "V": "V", "s": "s"}.get(found["base"])
    if found is not None and base is None and len(found["base"]) > 1:
        base = _BASES.get(found["base"].lower())
    if found is None or base is None:
        return None
    return Unit(base, _PREFIXES[found["prefix"].replace("K", "k")])


def split_label(label: str) -> tuple[str, str | None]:
    """The name and the unit's text in a heading such as `G (uS)`, `G [uS]` or `G / uS`; None where it has no unit."""
    found = _IN_LABEL.search(label)
    if found is None:
        return label.strip(), None
    return label[: found.start()].strip(), next(text for text in found.groups() if text is not None)


def as_conductance(unit: Unit, other: Unit | None, fail: Callable[[str], FormatError]) -> str:
    """The unit of the conductances that values give as they are, as reciprocals of resistances, or current by voltage.

    Raises
    ------
    FormatError
        made by `fail`, for units of which there is no conductance.
    """
    if other is not None:
        if (unit.base, other.base) not in (("A", "V"), ("", "")):
            raise fail(f"a current in A and a voltage in V are needed, found {unit} and {other}")
        power = unit.power - other.power
    elif unit.quantity in ("", "conductance"):
        return str(unit)
    elif unit.quantity == "resistance":
        power = -unit.power
    else:
        raise fail(f"values in {unit} are a {unit.quantity}; conductances in S, or resistances in Ohm, are needed")
    if power not in _SHORT:
        raise fail(f"conductances would be in 1e{power} S; save currents in A and voltages in V")
    return str(Unit("S", power)) if unit.base else ""
