"""The page to look at: one HTML file that needs nothing else."""

import html
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from matchopt.demo.claims import Claim
from matchopt.demo.plots import Weights, accuracy_figure, residual_figure, weights_figure
from matchopt.demo.records import HEADINGS, Row, table_cells, unsolved
from matchopt.formats.atomic import write_bytes

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .85rem; white-space: nowrap }
th, td { padding: .25rem .7rem; text-align: left } .n { text-align: right; font-variant-numeric: tabular-nums }
thead th { border-bottom: 2px solid #444 } tr.line td { border-top: 1px solid #aaa }
img { max-width: 100%; height: auto } figure { margin: 1rem 0 } figcaption { font-size: .85rem; color: #555 }
.yes { color: #00664a } .no { color: #b03000 } li { margin: .2rem 0 }
"""

MEANING = """
<p>A chip offers neurons whose weights came out of fabrication at random and can never be changed. To run a trained
sparse network on it, every neuron of the network is given a hardware neuron of its own, and for every connection one
of that neuron's fixed weights is chosen to listen to the right input; all its other weights are switched off. The
<em>weight error</em> is the sum of squared differences between the trained weights and those the chip realises. K/n
says how many weights a hardware neuron offers for each connection it must serve, and here there are exactly as many
hardware neurons as the network needs: with K/n = 1.25 the choice is tight, with 4 it is roomy.</p>
<p>Rows marked <em>outputs</em> minimise another error, that of what the neurons compute on sample images, without
labels; rows marked <em>labels</em> learn from labelled images which weight listens to which input. Both may set the
digital biases and wire inputs that the trained network does not use. Their weight errors are large, and their
accuracies good: near the trained weights is not where the best mapping is.</p>
<p>Read the table from <em>random</em>, which takes hardware neurons by chance and wires each as well as possible,
through <em>greedy</em>, where the strongest neurons choose first, to <em>hungarian</em>, which finds the best choice
of all and proves it: its gap is zero, and nobody can do better by this measure on this hardware. On tight hardware
that choice decides how much accuracy survives; on roomy hardware every careful method keeps it. The dashed line is
the network before mapping. What remains between it and the best mapping is the price of fixed weights, not of the
solver; other rules, such as a gain at each neuron or sums of two weights, lower it.</p>
"""


def write_page(
    path: Path,
    rows: Sequence[Row],
    records: Sequence[Mapping[str, Any]],
    claims: Sequence[Claim],
    target: Mapping[str, float],
    weights: Weights,
    settings: str,
) -> bool:
    """Write the page; returns whether it has plots, which need matplotlib.

    Parameters
    ----------
    path : the HTML file.
    rows, records, claims : what was found.
    target : accuracies and connectivity of the unmapped network.
    weights : target and realised weights of the tight regime's first draw, by solver.
    settings : how the figures were made, in a sentence.
    """
    drawn = find_spec("matplotlib") is not None
    parts = [f"<h1>A trained sparse network on random, fixed weights</h1>\n<p>{html.escape(settings)}</p>", MEANING]
    parts.append(f"<h2>Results</h2>\n<div class='scroll'>{_table(rows, target)}</div>")
    parts.append("<p>Means over hardware draws, with the range in brackets. Validation data chose; test data were "
                 "used once for each row.</p>")  # fmt: skip
    parts.append(f"<h2>What was expected</h2>\n<ul>{''.join(map(_claim, claims))}</ul>")
    if drawn and rows:
        parts += _figures(rows, target, weights)
    elif rows:
        parts.append("<p>There are no plots, as matplotlib is not installed: pip install 'matchopt[reports]'</p>")
    refusals = unsolved(records)
    if refusals:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in refusals)
        parts.append(f"<h2>Without a solution</h2>\n<ul>{items}</ul>")
    body = "\n".join(parts)
    head = "<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>matchopt demo</title>"
    page = (
        f"<!doctype html>\n<html lang='en'><head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    write_bytes(path, page.encode())
    return drawn


def _figures(rows: Sequence[Row], target: Mapping[str, float], weights: Weights) -> list[str]:
    parts = ["<h2>Accuracy against weight error</h2>"]
    parts.append(_image(accuracy_figure(rows, target), "Filled: the first regime; hollow: the others."))
    if weights:
        regime = html.escape(rows[0].regime)
        parts.append("<h2>How far the realised weights are off</h2>")
        parts.append(_image(residual_figure(weights), f"All connections of the network, first draw of {regime}."))
        parts.append("<h2>Target against realised weights</h2>")
        parts.append(_image(weights_figure(weights), "On the line a weight is realised exactly. Same draw."))
    return parts


def _image(png: str, caption: str) -> str:
    return f"<figure><img alt='{caption}' src='data:image/png;base64,{png}'><figcaption>{caption}</figcaption></figure>"


def _claim(claim: Claim) -> str:
    verdict = "<b class='yes'>holds</b>" if claim.holds else "<b class='no'>does not hold</b>"
    return f"<li>{verdict}: {html.escape(claim.statement)} ({html.escape(claim.evidence)})</li>"


def _table(rows: Sequence[Row], target: Mapping[str, float]) -> str:
    classes = [" class='n'" if heading.startswith(">") else "" for heading in HEADINGS]
    cells = "".join(f"<th{c}>{html.escape(h.removeprefix('>'))}</th>" for c, h in zip(classes, HEADINGS, strict=True))
    lines, line = [f"<thead><tr>{cells}</tr></thead><tbody>"], ""
    for row in table_cells(rows, target):
        if not row:
            line = " class='line'"
            continue
        cells = "".join(f"<td{c}>{html.escape(cell)}</td>" for c, cell in zip(classes, row, strict=True))
        lines.append(f"<tr{line}>{cells}</tr>")
        line = ""
    return f"<table>{''.join(lines)}</tbody></table>"
