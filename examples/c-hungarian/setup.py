from setuptools import Extension, setup

# No module of Python's: a library that ctypes loads, so it is built once for every version of Python.
setup(
    ext_modules=[
        Extension("matchopt_c_hungarian.assignment", ["src/matchopt_c_hungarian/assignment.c"], py_limited_api=True)
    ]
)
