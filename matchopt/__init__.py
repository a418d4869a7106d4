"""matchopt: map trained sparse networks onto hardware whose weights are random and fixed."""

__version__ = "0.1.0"
