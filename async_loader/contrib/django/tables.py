"""The public face of this app for Python: declarations, as a function that ASYNC_LOADER_TABLES names needs them, and
databases, as `async_loader.load` and `Run` take them.

Import it from here. The modules below `models/` may move.
"""

from async_loader.contrib.django.models.tables import databases_of, table_of

__all__ = ["databases_of", "table_of"]
