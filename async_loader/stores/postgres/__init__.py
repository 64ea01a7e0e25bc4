"""PostgreSQL, from version 15 on, over psycopg. Batches cross into it by COPY.

What may live here: the store, its SQL, its connections, and rows of its tables. The package itself imports nothing,
because psycopg is an extra.
"""
