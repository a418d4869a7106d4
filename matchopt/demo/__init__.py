"""The main job in one go: train, put on random hardware, map with every solver, check, measure, show."""

from matchopt.demo.run import run_demo as run_demo
