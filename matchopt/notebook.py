"""What notebooks show of an object: a small table of facts, as HTML without scripts or styles of its own."""

from collections.abc import Mapping
from html import escape

MOST = 300  # characters of a fact


def facts_table(title: str, facts: Mapping[str, object]) -> str:
    """A table with a line for each fact that is neither None nor empty; names and values are escaped."""
    left = 'style="text-align:left"'
    lines = [
        f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(_shown(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None and value != ""
    ]
    return f"<table><caption>{escape(title)}</caption><tbody>{''.join(lines)}</tbody></table>"


def _shown(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MOST else f"{text[:MOST]}..."
