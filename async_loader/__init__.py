"""A loader for tables that live in several databases: fast, checked, and with nothing lost.

Its public names stand in `__init__.pyi`. Each is imported when it is first used, because a Django project imports
this package whatever its command. Nothing but `contrib.django` knows of Django.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
