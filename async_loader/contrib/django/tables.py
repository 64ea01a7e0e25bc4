"""The public face of this app for declarations: what a function that ASYNC_LOADER_TABLES names needs.

Import it from here. The modules below `models/` may move.
"""

from async_loader.contrib.django.models.tables import table_of

__all__ = ["table_of"]
