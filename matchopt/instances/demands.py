"""What an instance may ask for beyond the plainest one of its kind: the vocabulary of demands.

Every class that owns a field computes its demands, and everything that takes an instance declares the demands that it
understands; all others are refused by one sentence. So a field that is new is refused everywhere until it is declared.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from matchopt.errors import Refused

P = ParamSpec("P")
R = TypeVar("R")
PLAIN: frozenset[str] = frozenset()  # of fields that ask for nothing

# Name and meaning of every demand, by the kind of instance that has it; networks also have those of their layers.
BY_KIND: Mapping[str, Mapping[str, str]] = {
    "network": {
        "task-loss": "the cross-entropy of the whole network on labelled samples is minimised",
        "functional-error": "how far all layers' signals stray from the target's on samples is minimised",
        "score-error": "the angle between the network's outputs and the target's on samples is minimised",
        "hardware-bias": "biases are hardware weights on an input that is always 1",
        "adjustable-bias": "a mapping may set the digital biases",
        "one-chip": "all layers share the neurons and lines of one chip, each used once",
        "chained": "hardware neuron j of a layer drives line j of the next, without routing between them",
        "network-tunable": "all layers together may have so many fully tunable weights",
        "convolutional": "rows are filters that are moved over images",
        "recurrent": "rows are gates of a cell that hears its own past outputs",
    },
    "layer": {
        "importance": "the squared errors of connections count unequally",
        "read-noise": "what some cells read varies from read to read",
        "unusable-cells": "some cells cannot be switched on",
        "leak": "a cell adds something while it is switched off and its line is driven",
        "shared-bus": "hardware neurons share the wiring from inputs to cell lines",
        "programmable-cells": "values can be written into some cells",
        "write-budget": "so many cells of the layer may be written",
        "hard-wired": "some cells can only listen to one input",
        "several-cells": "a weight may be the sum of several cells",
        "drop": "a connection may stay unrealised",
        "extra-inputs": "a cell may listen to an input outside the target's",
        "gains": "hardware neurons have gains from a finite set, other than 1 alone",
        "gain-interval": "hardware neurons may have any gain of an interval",
        "tunable": "fully tunable weights may serve some connections",
        "several-neurons": "a row may be split over several hardware neurons, whose outputs add",
        "copies": "several hardware neurons may each realise one row, and their mean serves it",
        "output-error": "the squared error of each row's sums on the layer's inputs is minimised",
        "correlated-inputs": "inputs are correlated, so that the errors of a row's weights can make up for each other",
    },
    "assignment": {
        "sparse": "the allowed pairs are listed, all others are forbidden",
        "forbidden-pairs": "some pairs of row and column are forbidden",
        "integer-costs": "costs are whole numbers, and sums of them exact",
        "rectangular": "there are more columns than rows",
    },
    "program": {
        "whole-variables": "some variables must be whole",
        "continuous-variables": "some variables need not be whole",
        "unbounded-variables": "some variables have no finite lower or upper bound",
    },
}
DEMANDS: dict[str, str] = {name: meaning for own in BY_KIND.values() for name, meaning in own.items()}

_LAYER = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "several-cells", "drop", "extra-inputs"}
    | {"gains", "gain-interval", "tunable", "output-error", "correlated-inputs"}
)
_NETWORK = frozenset(
    {"task-loss", "functional-error", "score-error", "hardware-bias", "adjustable-bias", "network-tunable"}
    | {"convolutional", "recurrent"}
)
# What each kind of instance could ask for in version 0.1, which is what a plugin without a declaration was written
# for. Frozen: a demand that is new is never added here.
AT_0_1: Mapping[str, frozenset[str]] = {
    "network": _LAYER | _NETWORK,
    "layer": _LAYER,
    "assignment": frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular"}),
    "program": frozenset({"whole-variables", "continuous-variables", "unbounded-variables"}),
}
ANY_AT_0_1 = PLAIN.union(*AT_0_1.values())


def asks(demand: str, holds: bool) -> frozenset[str]:
    """The demand, where it holds."""
    assert demand in DEMANDS, demand
    return frozenset({demand}) if holds else PLAIN


def demands_of(owner: Any, /, plain: str = "", **of_field: frozenset[str]) -> frozenset[str]:
    """The demands of a dataclass, from those of each of its fields; `plain` names fields that ask for nothing.

    Raises TypeError when a field is left out: a field that nobody thought of must not pass for a plain one.
    """
    left_out = [field.name for field in fields(owner) if field.name not in (*of_field, *plain.split())]
    if left_out:
        raise TypeError(f"{type(owner).__name__}.{left_out[0]} is tied to no demand; name one, or say that it is plain")
    return PLAIN.union(*of_field.values())


def demands_of_kind(kind: str) -> Mapping[str, str]:
    """Name and meaning of all that an instance of this kind may demand."""
    return {**(BY_KIND["layer"] if kind == "network" else {}), **BY_KIND[kind]}


def not_understood(asking: Any, understands: Collection[str], who: str) -> str | None:
    """The sentence that names what `asking` (an instance or a part of one) demands beyond `understands`, or None."""
    strange = sorted(asking.demands.difference(understands))
    if not strange:
        return None
    *most, last = (f"{name} ({DEMANDS[name]})" if name in DEMANDS else name for name in strange)
    return f"{who} does not understand {', '.join(most)}{' and ' if most else ''}{last}"


def refuse_unknown(asking: Any, understands: Collection[str], who: str) -> None:
    """Raise Refused with that sentence, if there is one; `who` is asked, such as "the split into layers"."""
    reason = not_understood(asking, understands, who)
    if reason is not None:
        raise Refused(reason)


def understanding(who: str, understands: Collection[str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function raise Refused for arguments (instances and parts of them) with a demand that it does not know.

    Parameters
    ----------
    who : what the function is, for the message, such as "the split into layers".
    understands : names of the demands it was written for.
    """
    known = frozenset(understands)

    def closed(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            for value in (*args, *kwargs.values()):
                if hasattr(type(value), "demands"):  # of the class: what fails while it is computed must be heard
                    refuse_unknown(value, known, who)
            return function(*args, **kwargs)

        return asked

    return closed
