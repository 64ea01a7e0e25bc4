"""The app's configuration: where PROJECT_LISTENS is set, a file in the data's directory says what was loaded."""

from __future__ import annotations

import json
import os
from typing import Any

from django.apps import AppConfig
from django.conf import settings

from async_loader.contrib.django.signals import table_loaded


def note(sender: Any, **what: Any) -> None:
    """Write a line about a load, with what another connection sees by then."""
    keys = [str(key) for key in what["keys"]]
    seen = sender._default_manager.filter(pk__in=list(what["keys"])).count()
    facts = {name: what[name] for name in ("database", "is_complete", "resumed")}
    line = {"model": sender.__name__, "keys": keys, "size": len(what["keys"]), "seen": seen} | facts
    with (settings.BASE_DIR / "loaded.jsonl").open("a") as file:
        file.write(json.dumps(line | {"inserted": what["counts"].inserted, "updated": what["counts"].updated}) + "\n")


def fail(**_: Any) -> None:
    raise RuntimeError("this receiver fails")


class PressConfig(AppConfig):
    name = "press"

    def ready(self) -> None:
        if "PROJECT_LISTENS" in os.environ:
            table_loaded.connect(fail, weak=False)
            table_loaded.connect(note, weak=False)
