"""PostgreSQL, from version 15 on, over psycopg. Batches cross into it by COPY.

The package itself imports nothing: psycopg is not everybody's.
"""
