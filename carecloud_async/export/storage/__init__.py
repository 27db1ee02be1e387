"""Where an export is kept: targets, checkpoints, journals."""
