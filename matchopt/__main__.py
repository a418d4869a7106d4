"""`python -m matchopt` is the command `matchopt`."""

from matchopt.cli.__main__ import run

if __name__ == "__main__":
    run()
