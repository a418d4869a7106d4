import subprocess
import sys

import pytest

import matchopt.network
from matchopt.network.training.trainer import Trainer


def test_import_needs_no_torch():
    """Reading networks, exporting, measuring and listing methods work without torch; only training asks for it."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import matchopt.network as network\n"
        "from matchopt.errors import MissingExtra\n"
        "try: network.DeepRewiring().train(None, (2, 2), 0)\n"
        "except MissingExtra as cause: print(cause)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout == "trainer deep-rewiring needs the package torch; install it with: pip install 'matchopt[torch]'\n"
    )


@pytest.mark.parametrize("name", ["DeepRewiring", "DenseTraining", "GradualPruning"])
def test_every_method_is_a_trainer_with_a_name(name):
    """Methods are found at the door, and their default configuration is legal."""
    method = getattr(matchopt.network, name)
    assert issubclass(method, Trainer)
    assert method().name == method.name


def test_unknown_names_are_unknown():
    """The door has only the names it should."""
    with pytest.raises(AttributeError, match="attribute Nothing"):
        _ = matchopt.network.Nothing
