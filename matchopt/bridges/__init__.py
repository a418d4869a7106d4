"""Bridges: a function that solves assignments, or a program of its own, made a solver without a class to write."""

from matchopt.bridges.description import executable_solver as executable_solver
from matchopt.bridges.function import function_solver as function_solver
from matchopt.bridges.function import registering as registering
