"""PostgreSQL with a schema for each tenant, which is chosen on the connection."""
