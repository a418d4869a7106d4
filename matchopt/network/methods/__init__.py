"""Training methods, a file each; `plugins/matchopt_training` registers them."""
