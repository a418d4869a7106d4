"""Target networks that several runs of a study share: trained once, kept beside the results."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matchopt.errors import UnknownName
from matchopt.grid.records import content_key
from matchopt.library import problems_folder
from matchopt.network import SparseNetwork, read_network, write_network
from matchopt.study.place import Place
from matchopt.study.settings import settings_of
from matchopt.study.training import TrainingRun, train

SHIPPED = {"row8": "row8-seed0.safetensors"}  # LeNet-300-100, fan-in 8/8/30, in problems/networks


class TargetFiles:
    """The target networks of a study, by name.

    Parameters
    ----------
    recipes : settings of the training run that makes each of them.
    place : where they are kept.
    """

    def __init__(self, recipes: Mapping[str, Mapping[str, Any]], place: Place) -> None:
        self._recipes, self._place = recipes, place

    def make(self, names: Iterable[str]) -> None:
        """Train those that are not there yet."""
        for name in sorted(names):
            if name not in SHIPPED and not self.path(name).is_file():
                recipe = settings_of(TrainingRun, self._recipe(name))
                self.path(name).parent.mkdir(parents=True, exist_ok=True)
                write_network(self.path(name), train(recipe, self._place).network)

    def load(self, name: str) -> SparseNetwork:
        """The network called `name`."""
        return read_network(self.path(name))

    def path(self, name: str) -> Path:
        """The file of the network called `name`; another recipe under the same name is another file."""
        if name in SHIPPED:
            return problems_folder() / "networks" / SHIPPED[name]
        key = content_key({"recipe": dict(self._recipe(name))})
        return self._place.folder / "targets" / f"{name}-{key[:8]}.safetensors"

    def _recipe(self, name: str) -> Mapping[str, Any]:
        if name not in self._recipes:
            raise UnknownName("target", name, [*self._recipes, *SHIPPED])
        return self._recipes[name]
