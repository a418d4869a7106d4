"""What a bench keeps: the best solution of each instance with what is drawn of it, and the accuracy of networks."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.made_up import mapped_layer

from matchopt import AssignmentInstance, read_solution
from matchopt.bench import BenchPlan, find_instances, find_variants, run_bench
from matchopt.bench.kept import FOLDER, accuracy_of, best_pictures, keep_best
from matchopt.bench.picture import CELLS, WIRES, picture
from matchopt.bench.results import as_csv
from matchopt.errors import InvalidSolution
from matchopt.instances import Assignment, Hardware, LayerInstance, LayerMapping, Target
from matchopt.network.evaluation import data_of, evaluate


def test_a_picture_says_what_became_of_every_cell_and_weight() -> None:
    """States by hand; residuals count every connection once; wires are the target, what is realised, and by which."""
    layer, mapping = mapped_layer()
    drawn = picture(layer, mapping)
    (own,) = drawn["layers"]
    assert own["cells"] == ["0002", "1001", "3100"] and own["size"] == [3, 4] and own["side"] == 1
    assert sum(own["connected"]) == 3 and sum(own["unconnected"]) == 1  # the stuck cell hears input 0 in row 1
    assert len(own["edges"]) == len(own["connected"]) + 1 and own["edges"][0] == -own["edges"][-1]
    worst, other = drawn["neurons"]
    assert (worst["layer"], worst["row"], worst["error"]) == (0, 1, 0.8125)  # (3 - 2.25)^2 + 0.5^2
    assert worst["wires"] == [[1, 3.0, 2.25, "2:1"]]
    assert other["wires"] == [[0, 1.0, 1.0, "1:0"], [2, 2.0, 1.75, "1:3"]]
    with pytest.raises(InvalidSolution, match="assignment"):
        picture(AssignmentInstance(np.eye(2)), Assignment(np.array([0, 1])))


def test_a_large_layer_is_drawn_in_blocks() -> None:
    """At most so many fields and wires; a block has the state of most of its cells."""
    m, n = 300, 200
    layer = LayerInstance(Target.from_dense(np.ones((m, 60))), Hardware(np.ones((m, n))))
    wires = np.tile(np.arange(60), m)
    drawn = picture(layer, LayerMapping(np.arange(m), np.arange(0, 60 * m + 1, 60), wires, wires))
    (own,) = drawn["layers"]
    assert own["side"] == 3 and len(own["cells"]) * len(own["cells"][0]) <= CELLS
    assert set(own["cells"]) == {"1" * 20 + "0" * 47}
    assert sum(len(neuron["wires"]) for neuron in drawn["neurons"]) <= WIRES


def test_only_the_best_solution_of_an_instance_stays(tmp_path: Path) -> None:
    """A worse or equal one is not written, a better one takes the place of what was there; other files are let be."""
    layer, mapping = mapped_layer()
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "notes.json").write_text("{}")
    for key, objective in (("a", 2.0), ("b", 3.0), ("c", 2.0), ("d", 1.5)):
        keep_best(tmp_path, layer, mapping, objective, {"instance": "one", "solver": "s", "seed": 0, "key": key})
    names = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    start = f"{layer.digest[:16]}_1.5_d"
    assert names == [f"{start}.json", f"{start}.matchopt", "notes.json"]
    kept = read_solution(tmp_path / FOLDER / f"{start}.matchopt", instance=layer)
    assert layer.value(kept) == layer.value(mapping)
    keep_best(tmp_path / "b", layer, mapping, 1.0, {"instance": "one", "solver": "t", "seed": 1, "key": "e"})
    found = best_pictures([tmp_path, tmp_path / "b"])
    assert found == {"one": json.loads((tmp_path / "b" / FOLDER / f"{layer.digest[:16]}_1.0_e.json").read_text())}
    assert found["one"]["solver"] == "t" and found["one"]["layers"] == picture(layer, mapping)["layers"]


@pytest.mark.slow
def test_the_accuracy_of_a_network_is_that_of_evaluate(tmp_path: Path) -> None:
    """In the record and the table, with the target's; a layer has none, and who asks for none gets none."""
    plan = BenchPlan(find_instances(["row8-uniform-k1.25-r1"]), find_variants(["random"]))
    with ThreadPoolExecutor(1) as pool:
        (record,) = run_bench(plan, tmp_path, executor=pool).records
    instance = plan.instances[0].read()
    (file,) = (tmp_path / FOLDER).glob("*.matchopt")
    found = evaluate(instance, read_solution(file, instance=instance), data_of(instance.data, instance.n_inputs))  # type: ignore[attr-defined]
    assert found.mapped is not None and found.target is not None
    accuracy = record["accuracy"]
    assert (accuracy["test"], accuracy["validation"]) == (found.mapped.test, found.mapped.validation)
    assert accuracy["target_test"] == found.target.test > 0.9 and accuracy["spread"] is None
    (row,) = csv.DictReader(io.StringIO(as_csv([record])))
    assert float(row["accuracy_test"]) == accuracy["test"] and row["accuracy_spread"] == ""
    assert accuracy_of(*mapped_layer()) is None
    with ThreadPoolExecutor(1) as pool:
        (bare,) = run_bench(replace(plan, accuracy=False), tmp_path / "bare", executor=pool).records
    assert "accuracy" not in bare and bare["key"] == record["key"]
