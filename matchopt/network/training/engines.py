"""In what arithmetic networks are trained. Loads without torch."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def steady_arithmetic(threads: int) -> Iterator[None]:
    """Train inside this: a fixed number of threads of torch, and numbers too small for full precision become zero.

    Moments of units that stopped learning become such numbers and slow every operation three to five times.
    Threads are put back on leaving.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
