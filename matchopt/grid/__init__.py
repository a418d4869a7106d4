"""One engine for grids of runs: results that nothing finished is lost from, under keys of all that made them."""
