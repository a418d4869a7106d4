"""What a bench keeps of its runs besides figures: the accuracy that a mapping leaves, and each instance's best one."""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from matchopt.bench.picture import picture
from matchopt.errors import MatchoptError
from matchopt.formats import write
from matchopt.formats.atomic import write_bytes
from matchopt.instances import DataReference, Instance, NetworkInstance, Solution
from matchopt.network import ImageData
from matchopt.network.evaluation import data_of, evaluate

FOLDER = "solutions"  # in the folder of results
Facts = dict[str, Any]


def accuracy_of(instance: Instance, solution: Solution) -> Facts | None:
    """What a mapped network classifies correctly, beside its target; None for what is no network, or without its data.

    Returns
    -------
    dict
        test and validation, shares of the samples, 0 .. 1, the mean over reads where the chip has read noise;
        target_test and target_validation, those of the trained network; spread, the standard deviation of test over
        the reads, None for one read; error, the squared error of all weights as a share of their squares.
    """
    if not isinstance(instance, NetworkInstance):
        return None
    try:
        data = _data(instance.data, instance.n_inputs)
        found = evaluate(instance, solution, data)
    except MatchoptError:  # the data are not here, or it is a kind of network that cannot be evaluated
        return None
    if found.mapped is None or found.target is None:
        return None
    size = sum(float((layer.target.weights**2).sum()) for layer in instance.layers)
    return {
        "test": found.mapped.test,
        "validation": found.mapped.validation,
        "target_test": found.target.test,
        "target_validation": found.target.validation,
        "spread": None if found.spread is None else found.spread.test,
        "error": sum(layer.squared for layer in found.layers) / size if size else None,
    }


def keep_best(folder: Path, instance: Instance, solution: Solution, objective: float, about: Facts) -> None:
    """Keep a solution and what the report draws of it, unless one at least as good is there; worse ones are removed.

    Parameters
    ----------
    folder : of the results; several processes may do this at once.
    about : what the drawing says of the run; its key makes the file's name.
    """
    place, start = folder / FOLDER, f"{instance.digest[:16]}_"
    others = {path: value for path in place.glob(f"{start}*") if (value := _objective(path)) is not None}
    if min(others.values(), default=float("inf")) <= objective:
        return
    place.mkdir(parents=True, exist_ok=True)
    stem = place / f"{start}{objective!r}_{about['key']}"
    try:
        drawn = picture(instance, solution)
    except MatchoptError:  # of a kind that has no cells, or with rules that drawings do not know
        drawn = {}
    write(solution, stem.with_name(f"{stem.name}.matchopt"), instance=instance)
    write_bytes(stem.with_name(f"{stem.name}.json"), json.dumps(about | {"objective": objective} | drawn).encode())
    for path in others:
        path.unlink(missing_ok=True)


def best_pictures(folders: Iterable[Path]) -> dict[str, Facts]:
    """What is drawn of the best solution of each instance that some folders of results hold, by the instance's name."""
    found: dict[str, Facts] = {}
    for folder in folders:
        for path in sorted((folder / FOLDER).glob("*.json")):
            try:
                facts = json.loads(path.read_text("utf-8"))
                name, value = str(facts["instance"]), float(facts["objective"])
            except (OSError, ValueError, KeyError, TypeError):  # no file of ours, or one that was removed just now
                continue
            if "layers" in facts and value < found.get(name, {"objective": float("inf")})["objective"]:
                found[name] = facts
    return found


def _objective(path: Path) -> float | None:
    """What the name of a file says that its solution costs; None where it is half of a pair, or no file of ours."""
    parts = path.name.split("_")
    try:
        return float(parts[1]) if path.suffix in (".json", ".matchopt") else None
    except (IndexError, ValueError):
        return None


@lru_cache(maxsize=1)
def _data(reference: DataReference | None, n_inputs: int) -> ImageData | None:
    return data_of(reference, n_inputs)
