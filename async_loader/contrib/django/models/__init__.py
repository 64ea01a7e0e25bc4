"""Django's models as tables: their fields, validators and databases."""
