"""The sample project: its settings, databases, models, router, and the tables to load."""
