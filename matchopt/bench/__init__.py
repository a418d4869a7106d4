"""Comparing solvers: instances x solvers x options x seeds, what is measured of them, and a report."""
