"""Tables for people."""

import io
import sys
from collections.abc import Sequence
from typing import TextIO

WIDE = 250  # columns where the output is no terminal, so that nothing is cut


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", file: TextIO | None = None
) -> None:
    """Print a table; a column whose name begins with > is aligned to the right, and an empty row is a line.

    Parameters
    ----------
    columns : names of the columns.
    rows : one text per column; nothing is cut where the output is no terminal.
    title : line above the table.
    file : where to; default standard output.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from matchopt.contract import escaped

    out = file or sys.stdout
    page = io.StringIO()
    console = Console(file=page, width=Console().width if out.isatty() else WIDE, highlight=False)
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        if row:
            # Texts are shown as they are, brackets included, but not obeyed by the terminal.
            table.add_row(*(Text("\n".join(map(escaped, cell.split("\n")))) for cell in row))
        else:
            table.add_section()
    console.print(table)
    text, encoding = "".join(line.rstrip() + "\n" for line in page.getvalue().splitlines()), out.encoding or "utf-8"
    if not _has(encoding, "\u2500"):
        text = text.replace("\u2500", "-")
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _has(encoding: str, character: str) -> bool:
    try:
        return bool(character.encode(encoding))
    except UnicodeEncodeError:
        return False
