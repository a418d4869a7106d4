"""The machine room of training: models on flat vectors, optimisers, one loop for all methods, checkpoints.

Methods live next door, in `matchopt.network.methods`. What a method's module imports must load without torch and numba
(`trainer`, `method`, `masked`, `optimisers`, `selection`, `starts`), so that listing the methods is quick.
"""
