"""Storage of exports: targets, working folders, journals, checkpoints."""
