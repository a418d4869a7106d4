"""The demo: a study of its own, and from its records table, claims and page."""

from collections.abc import Callable

from matchopt.demo.claims import ORDER, Claim, claims_of
from matchopt.demo.figures import weights_of
from matchopt.demo.page import write_page
from matchopt.formats.atomic import write_bytes
from matchopt.grid.mapping import Mapping as MappingTask
from matchopt.grid.task import ERROR, Place
from matchopt.network import SparseNetwork, read_network
from matchopt.study import Outcome, Study
from matchopt.study.engine import task_of
from matchopt.study.report import Record, aligned, rows_of, runs_csv, table
from matchopt.study.study_file import LABEL
from matchopt.terminal.figures import NONE, share
from matchopt.terminal.table import print_table

Say = Callable[[str], None]
TARGET = "target (unmapped)"


def show_demo(study: Study, outcome: Outcome, place: Place, say: Say, full: bool = True) -> list[Claim]:
    """Print the table, write `results.csv` and `index.html`, and return what was expected and whether it holds.

    Parameters
    ----------
    study, outcome, place : what was run, what came of it, and where.
    say : receives each line.
    full : whether this is the study that the claims are about.
    """
    solved = [record for record in outcome.records if record.get("value") is not None]
    rows = {key: sorted(group, key=_draw) for key, group in rows_of(study, solved).items()}
    task = task_of(study, study.runs["cpu"][0], place)
    assert isinstance(task, MappingTask) and task.target is not None
    network = read_network(task.target.path) if task.target.path.is_file() else None
    target = {} if network is None else _figures(network)
    claims = claims_of(rows, target, full)
    headings, cells = aligned(study, *table(study, solved))
    if target:
        accuracies = [share(target[name]) for name in ("validation", "test")]
        cells = [["perfect hardware", TARGET, NONE, "0", *[NONE] * (len(headings) - 6), *accuracies], [], *cells]
    refusals = list(dict.fromkeys(_reason(record) for record in outcome.records if record.get("value") is None))
    write_bytes(place.folder / "results.csv", runs_csv(outcome.records).encode())
    page = place.folder / "index.html"
    chip = (LABEL, "hardware_seed")
    first = [record for record in solved if all(record[name] == solved[0][name] for name in chip)]
    weights = {r["solver"]: weights_of(place.folder, r) for r in first if r["solver"] in ORDER}
    about = "" if network is None else _about(network)
    drawn = write_page(page, study, solved, (headings, cells), claims, refusals, weights, about, target.get("test"))
    print_table(headings, cells)
    for line in [*(f"no solution: {line}" for line in refusals), *map(str, claims), about]:
        say(line)
    say(f"{page}{'' if drawn else ' (without plots: they need matplotlib, pip install matchopt[reports])'}")
    return claims


def _draw(record: Record) -> int:
    draw: int = record["hardware_seed"]
    return draw


def _figures(network: SparseNetwork) -> dict[str, float]:
    record = network.record
    assert record.validation_accuracy is not None and record.test_accuracy is not None
    return {
        "validation": record.validation_accuracy,
        "test": record.test_accuracy,
        "connectivity": network.connectivity,
    }


def _about(network: SparseNetwork) -> str:
    fan_in = "/".join(str(int(fans.max())) for fans in network.fan_in)
    widths, record = "-".join(map(str, network.widths)), network.record
    found = _figures(network)
    return (
        f"target network {widths}, fan-in {fan_in}, {100 * network.connectivity:.2f} % connectivity: validation "
        f"{share(found['validation'])} %, test {share(found['test'])} %; trained by {record.method}, seed {record.seed}"
    )


def _reason(record: Record) -> str:
    """Why there is no solution."""
    if ERROR in record:
        return f"{record[LABEL]}, {record['solver']}: {record[ERROR]}"
    limit = f", {record['limit']} limit" if record["limit"] else ""
    what = "" if record["message"].startswith("refused") else f"{record['status']}{limit}: "
    return f"{record[LABEL]}, {record['solver']}: {what}{record['message']}".strip()
