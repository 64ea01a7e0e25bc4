"""What connects the engine to frameworks: a package for each framework."""
