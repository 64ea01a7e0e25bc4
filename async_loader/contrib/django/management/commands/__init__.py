"""The commands: options in, one call of the engine, text out."""

from async_loader.contrib.django.process import tune

tune()
