"""`python -m matchopt.cli`, where the script `matchopt` is not on the path."""

from matchopt.cli.app import main

main(prog_name="matchopt")
