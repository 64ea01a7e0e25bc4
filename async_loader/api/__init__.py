"""The engine's front door: what callers do with it, a module for each kind. The package's public names lead here."""
