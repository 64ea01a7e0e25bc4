"""The sample project: settings, models, databases, rules and references."""
