"""Files looked at for a project: how their columns fit a model, and the command, format and model to paste."""
