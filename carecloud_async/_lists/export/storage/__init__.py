"""Storage of exports: targets, the file and the folder in which it is prepared, checkpoints, states."""
