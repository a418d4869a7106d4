"""The instances that ship are those that their recipes make."""

import importlib.util
from types import ModuleType

import pytest

from matchopt import read_instance
from matchopt.library import packaged_folder

pytest.importorskip("torch")
