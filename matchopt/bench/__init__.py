"""Results: their record on disk, their figures, and tables of them."""
