"""Tables made of Django's models: fields as columns, validators as rules, and the databases they live in."""
