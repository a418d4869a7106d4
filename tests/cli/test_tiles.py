"""A network on tiles, from the command line: exported, mapped, written as a wiring table and evaluated."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from matchopt.cli import main

NETWORK = Path(__file__).resolve().parents[2] / "problems/networks/row8-seed0.safetensors"


def told(*arguments: str | Path | float) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_a_layer_on_tiles_end_to_end(tmp_path: Path) -> None:
    """Rows have lines for all their neurons, no neuron serves two rows, and the accuracy is told."""
    rng = np.random.default_rng(0)
    chip = {"weights": rng.normal(1.0, 0.3, (400, 25)), "usable": rng.random((400, 25)) > 0.08}
    np.savez(tmp_path / "tiles.npz", bus=np.repeat(np.arange(16), 25), **chip)
    told("export", NETWORK, "--layer", 1, "--hardware", tmp_path / "tiles.npz", "--drop", "--gains=-1,1",
         "--neurons-per-row", 12, "--output", tmp_path / "layer.matchopt")  # fmt: skip
    table = tmp_path / "layer.wiring.csv"
    run = json.loads(told("solve", tmp_path / "layer.matchopt", "--solver", "tiles-cover", "-o", "passes=1",
                          "--output", table, "--json"))  # fmt: skip
    assert run["status"] == "feasible" and run["bound"] is not None
    with table.open() as file:
        lines = list(csv.DictReader(file))
    rows_of: dict[str, set[str]] = {}
    for line in lines:
        rows_of.setdefault(line["neuron"], set()).add(line["row"])
    assert all(len(rows) == 1 for rows in rows_of.values()) and len(rows_of) > 100
    assert "%" in told("evaluate", tmp_path / "layer.matchopt", table, "--network", NETWORK)
