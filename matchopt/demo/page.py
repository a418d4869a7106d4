"""The page to look at: one HTML file that needs nothing else."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

from matchopt.bench.page import house_style
from matchopt.demo.claims import Claim
from matchopt.demo.figures import Weights, accuracy_figure, weights_figure
from matchopt.errors import MissingExtra
from matchopt.formats.atomic import write_bytes
from matchopt.study.plots import draw
from matchopt.study.report import Record, rows_of
from matchopt.study.study_file import Study

STYLE = """
table { white-space: nowrap } tr.line td { border-top: 2px solid var(--soft) } li { margin: .2rem 0 }
img, svg { max-width: 100%; height: auto; background: #fff } .yes { color: #1a8f6a } .no { color: #d1552b }
"""


def write_page(
    path: Path,
    study: Study,
    records: Sequence[Record],
    cells: tuple[Sequence[str], Sequence[Sequence[str]]],
    claims: Sequence[Claim],
    refusals: Sequence[str],
    weights: Weights,
    settings: str,
    target: float | None = None,
) -> bool:
    """Write the page; returns whether it has plots, which need matplotlib.

    Parameters
    ----------
    path : the HTML file.
    study, records, claims, refusals : what was asked, and what was found.
    cells : headings and rows of the table, see `print_table`.
    weights : target and realised weights on one chip, by solver.
    settings : how the figures were made, in a sentence.
    target : test accuracy of the network that is not mapped, a share.
    """
    parts = [f"<h1>{html.escape(study.title)}</h1>\n<p>{html.escape(settings)}</p>"]
    try:
        first, *further = _figures(study, records, weights, target) if records else [""]
        drawn = True
    except MissingExtra as cause:
        first, further, drawn = f"<p>There are no plots: {html.escape(str(cause))}</p>", [], False
    parts += [first, *_about(study.about)]
    parts.append(f"<h2>Results</h2>\n<div class='scroll'>{_table(*cells)}</div>")
    parts.append("<p>Means over hardware draws ± sample standard deviation. Validation data chose; test data were used "
                 "once for each row.</p>")  # fmt: skip
    parts.append(f"<h2>What was expected</h2>\n<ul>{''.join(map(_claim, claims))}</ul>")
    parts += further
    if refusals:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in refusals)
        parts.append(f"<h2>Without a solution</h2>\n<ul>{items}</ul>")
    head = "<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>matchopt demo</title>"
    page = f"<!doctype html>\n<html lang='en'><head>{head}<style>{house_style()}{STYLE}</style></head>\n<body>\n"
    write_bytes(path, (page + "\n".join(parts) + "\n</body></html>\n").encode())
    return drawn


def _about(text: str) -> list[str]:
    """Paragraphs of the study's text, with what it stresses and what it quotes."""
    plain = html.escape(text.strip())
    marked = re.sub(r"`(.+?)`", r"<code>\1</code>", re.sub(r"\*([^*]+)\*", r"<em>\1</em>", plain))
    return [f"<p>{paragraph}</p>" for paragraph in marked.split("\n\n")]


def _figures(study: Study, records: Sequence[Record], weights: Weights, target: float | None) -> list[str]:
    """The picture of all strategies, which the page begins with, then the others."""
    parts = [f"<figure>{accuracy_figure(rows_of(study, records), target)}</figure>"]
    for plot in study.plots:
        content = draw(study, plot, records)
        parts.append(f"<figure>{content[content.index('<svg') :]}</figure>")  # without the file's own declaration
    if weights:
        about = "All connections of the network, first draw of the first rows: on the line a weight is exact."
        parts.append("<h2>Target against realised weights</h2>")
        picture = f"<img alt='{about}' src='data:image/png;base64,{weights_figure(weights)}'>"
        parts.append(f"<figure>{picture}<figcaption>{about}</figcaption></figure>")
    return parts


def _claim(claim: Claim) -> str:
    verdict = "<b class='yes'>holds</b>" if claim.holds else "<b class='no'>does not hold</b>"
    return f"<li>{verdict}: {html.escape(claim.statement)} ({html.escape(claim.evidence)})</li>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    classes = [" class='n'" if heading.startswith(">") else "" for heading in headings]
    cells = "".join(f"<th{c}>{html.escape(h.removeprefix('>'))}</th>" for c, h in zip(classes, headings, strict=True))
    lines, line = [f"<thead><tr>{cells}</tr></thead><tbody>"], ""
    for row in rows:
        if not row:
            line = " class='line'"
            continue
        cells = "".join(f"<td{c}>{html.escape(cell)}</td>" for c, cell in zip(classes, row, strict=True))
        lines.append(f"<tr{line}>{cells}</tr>")
        line = ""
    return f"<table>{''.join(lines)}</tbody></table>"
