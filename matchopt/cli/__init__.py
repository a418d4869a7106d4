"""The command line `matchopt`: parsing only, each command calls what the library offers to everyone."""

from matchopt.cli.app import main as main
