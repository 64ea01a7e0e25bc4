"""The commands: options in, one call of the engine, text out."""

from core.process import tune

tune()
