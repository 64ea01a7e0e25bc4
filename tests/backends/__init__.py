"""Back ends of databases as projects have them, made of those of Django."""
