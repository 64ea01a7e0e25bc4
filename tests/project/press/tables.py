"""Tables of which each record is cleaned by its model."""

from __future__ import annotations

from estate.models import School

from async_loader import Table
from async_loader.contrib.django.tables import table_of
from press.models import Leaflet


def tables() -> tuple[Table, ...]:
    return (table_of(Leaflet, match=["code"], clean=True), table_of(School, match=["code"], clean=True))
