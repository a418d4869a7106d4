"""For all tests: the same examples on every machine, and the signals of a program in the foreground."""

import signal

import typecheck
from hypothesis import settings

typecheck.install()

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A job in the background ignores Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
