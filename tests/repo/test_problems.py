"""The instances that ship are those that their recipes make."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest

from matchopt import Instance
from matchopt.formats import read
from matchopt.library import problems_folder

pytest.importorskip("torch")


def recipes() -> dict[str, Instance]:
    """Every instance of the recipes, by name, not yet solved."""
    spec = importlib.util.spec_from_file_location("matchopt_problems_build", problems_folder() / "build.py")
    assert spec is not None and spec.loader is not None
    build = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return {instance.name: instance for instance in itertools.chain.from_iterable(build.every_family())}


def test_every_instance_is_what_its_recipe_makes() -> None:
    """Facts alike and arrays to rounding: second moments of inputs are sums whose order is the library's."""
    made, files = recipes(), list((problems_folder() / "instances").glob("*.matchopt"))
    assert set(made) == {path.stem for path in files}
    for path in files:
        shipped, fresh = read(path).parts(), made[path.stem].parts()
        assert shipped.facts == fresh.facts and set(shipped.arrays) == set(fresh.arrays), path.stem
        for name, array in shipped.arrays.items():
            np.testing.assert_allclose(fresh.arrays[name], array, rtol=1e-12, atol=1e-12, err_msg=f"{path.stem} {name}")
