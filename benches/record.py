"""Append the ratios of a run of the benchmarks to history.csv, beside this file.

Usage: python benches/record.py RESULTS.json, written by pytest --benchmark-json; `make bench-record` does both.

A row is one of our benchmarks and one peer of it: the same test with the same parameters, but for the one that says who
does the work. Only ratios of one run are kept: they mean something on other machines too, unlike seconds.
"""

import csv
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("history.csv")
COLUMNS = ("revision", "machine", "libraries", "benchmark", "ours", "peer", "times_ours")
OURS = ("kernel", "matchopt", "compiled")  # in parameters that say who does the work
LIBRARIES = ("numpy", "numba", "scipy")


def ratios(benchmarks: list[dict[str, Any]]) -> list[tuple[str, str, str, float]]:
    """(test with the other parameters, ours, peer, how many times ours the peer takes), by the least time of each."""
    found = []
    for mine in benchmarks:
        for name, who in (mine["params"] or {}).items():
            if who not in OURS:
                continue
            rest = {key: value for key, value in mine["params"].items() if key != name}
            for other in benchmarks:
                same = other["fullname"].partition("[")[0] == mine["fullname"].partition("[")[0]
                if same and other is not mine and {**other["params"], name: who} == mine["params"]:
                    test = mine["fullname"].partition("::")[2].partition("[")[0].removeprefix("test_")
                    label = " ".join([test.replace("_", " "), *map(str, rest.values())])
                    times = other["stats"]["min"] / mine["stats"]["min"]
                    found.append((label, str(who), str(other["params"][name]), times))
    return found


def machine(info: dict[str, Any]) -> str:
    """What the ratios may depend on."""
    cpu = info.get("cpu", {})
    return f"{cpu.get('brand_raw', platform.machine())}, {cpu.get('count', '?')} cores, Python {info['python_version']}"


def main() -> None:
    """The command."""
    data = json.loads(Path(sys.argv[1]).read_text())
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    libraries = " ".join(f"{name} {version(name)}" for name in LIBRARIES)
    about = (described.stdout.strip() or "unknown", machine(data["machine_info"]), libraries)
    rows = ratios(data["benchmarks"])
    new = not HISTORY.exists()
    with HISTORY.open("a", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(COLUMNS)
        table.writerows((*about, label, ours, peer, f"{times:.3g}") for label, ours, peer, times in rows)
    print(f"{len(rows)} ratios appended to {HISTORY.name}")


if __name__ == "__main__":
    main()
