"""The commands, a module for each: options in, one call of the engine, text or JSON out."""
