"""A loader for tables that live in several databases: fast, checked, and with nothing lost.

Its public names stand in `__init__.pyi`. Each is imported when somebody asks for it, because a Django project imports
this package whatever its command. Nothing but `contrib.django` knows of Django.
"""

import sys
from types import ModuleType

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _Package(ModuleType):
    """A package whose public names win over modules that are called alike, such as `load`, whatever comes first."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in __all__ or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
