"""An app that a project has whose databases are on a server of PostgreSQL."""
