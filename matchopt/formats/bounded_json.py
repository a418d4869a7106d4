"""JSON from strangers: size, depth and number of values are checked before anything is built."""

import json
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import numpy as np

from matchopt.errors import FormatError

Fail = Callable[[str], FormatError]

MAX_DEPTH = 16  # a network file nests to 6
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
MAX_BRACKETS = 2**18  # objects and lists; each takes about 64 bytes even when empty


def parse(data: bytes, fail: Fail, *, depth: int = MAX_DEPTH, brackets: int = MAX_BRACKETS) -> Any:
    """Parse UTF-8 JSON; NaN, infinities, duplicate keys and lone surrogates are refused.

    Parameters
    ----------
    data : the text.
    fail : turns a reason into the error to raise.
    depth, brackets : most nested and most opened objects and lists.

    Raises
    ------
    FormatError
        made by `fail`.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as cause:
        raise fail(f"not UTF-8 at byte {cause.start}") from None
    _check_nesting(data, fail, depth, brackets)

    try:
        value = json.loads(
            text,
            object_pairs_hook=partial(_unique, fail),
            parse_constant=partial(_constant, fail),
            parse_float=partial(_number, fail),
        )
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except FormatError:
        raise
    except UnicodeEncodeError:
        raise fail("a text holds half a character (a lone surrogate)") from None
    except json.JSONDecodeError as cause:
        raise fail(f"not JSON at byte {cause.pos}: {cause.msg}") from None
    except (ValueError, RecursionError) as cause:  # an integer of thousands of digits
        raise fail(f"not readable JSON: {cause}") from None
    return value


def _constant(fail: Fail, name: str) -> NoReturn:
    raise fail(f"{name} is no number in JSON")


def _number(fail: Fail, digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise fail(f"number {digits[:40]} is too large")
    return value


def _unique(fail: Fail, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise fail(f"duplicate key {name[:80]!r}")
            seen.add(name)
    return found


def _check_nesting(data: bytes, fail: Fail, depth: int, brackets: int) -> None:
    # What stands outside of texts: drop escaped backslashes, then escaped quotes, then texts. All linear in time.
    plain = re.sub(rb'"[^"]*+"?', b"", data.replace(b"\\\\", b"").replace(b'\\"', b""))
    marks = np.frombuffer(plain.translate(None, _NO_BRACKETS), dtype=np.uint8)
    opening = (marks == ord("[")) | (marks == ord("{"))
    if int(opening.sum()) > brackets:
        raise fail(f"more than {brackets} objects and lists")
    deepest = int(np.where(opening, 1, -1).cumsum().max(initial=0))
    if deepest > depth:
        raise fail(f"nested {deepest} deep, at most {depth} is read")
