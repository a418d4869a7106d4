"""The phones of TIMIT: 61 as transcribed, 48 to train on, 39 to count errors by.

References
----------
Lee, Hon 1989, doi:10.1109/29.46546, tables I and II: the 48 phones, and the groups within which confusions are no
errors. The glottal stop q is left out of both.
"""

from functools import lru_cache

from matchopt.errors import InvalidOption

# The 61 marks of the transcriptions.
_MARKS = """
aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh hv ih ix iy jh k kcl l m n
ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z zh
"""
TRANSCRIBED = tuple(_MARKS.split())
_FOLDED = """
ax-h>ax axr>er bcl>vcl dcl>vcl gcl>vcl pcl>cl tcl>cl kcl>cl em>m eng>ng nx>n h#>sil pau>sil hv>hh ux>uw
"""
_TO_48 = dict(pair.split(">") for pair in _FOLDED.split())
_TO_39 = {"ao": "aa", "ax": "ah", "cl": "sil", "vcl": "sil", "epi": "sil", "el": "l", "en": "n", "ix": "ih", "zh": "sh"}
LEFT_OUT = "q"
COUNTS = (61, 48, 39)


def fold(phone: str, count: int) -> str | None:
    """The phone that stands for one of the 61 among 48 or 39; None for the glottal stop, which these leave out."""
    if count == 61:
        return phone
    if phone == LEFT_OUT:
        return None
    folded = _TO_48.get(phone, phone)
    return folded if count == 48 else _TO_39.get(folded, folded)


@lru_cache
def phone_classes(count: int) -> dict[str, int | None]:
    """Class of each of the 61 transcribed phones among 61, 48 or 39, numbered in alphabetical order; None: no class.

    Raises InvalidOption for another count.
    """
    if count not in COUNTS:
        raise InvalidOption(f"phones must be 61, 48 or 39, found {count}")
    folded = {phone: fold(phone, count) for phone in TRANSCRIBED}
    names = sorted({name for name in folded.values() if name is not None})
    return {phone: None if name is None else names.index(name) for phone, name in folded.items()}
