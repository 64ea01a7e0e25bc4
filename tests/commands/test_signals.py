"""The signal `table_loaded` says after the commit which rows a load has inserted and changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.project import ServedShop, Shop
from tests.sample import MODES


def listening(shop: Shop) -> Shop:
    shop.environment["PROJECT_LISTENS"] = "1"
    return shop


def said(shop: Shop) -> list[dict[str, Any]]:
    """Return what receivers have noted since the last call."""
    path = shop.directory / "loaded.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def expected(model: str, keys: list[str], inserted: int, updated: int, **others: Any) -> dict[str, Any]:
    facts = {"database": "archive", "is_complete": True, "resumed": False, "seen": len(keys), "size": len(keys)}
    return facts | {"model": model, "keys": keys, "inserted": inserted, "updated": updated} | others


@pytest.mark.turns("mode")
@pytest.mark.parametrize("mode", MODES)
def test_receivers_get_the_keys_of_rows_that_were_inserted_and_changed(shop: Shop, mode: str) -> None:
    own = listening(shop)
    options = ["--match=press.Leaflet=code", f"--mode={mode}", "--on-conflict=update"]
    tags = own.file("tags.csv", "name\nred\nblue\n")
    leaflets = own.file("leaflets.csv", "code,first\na,1\nb,2\n,3\n")
    both = [f"press.Tag={tags}", f"press.Leaflet={leaflets}", "--match=press.Tag=name", *options]
    own.load(*both, "--dry-run")
    assert said(own) == []
    own.load(*both)
    lines = sorted(said(own), key=lambda line: line["model"])
    assert lines == [expected("Leaflet", ["1", "2"], 2, 0), expected("Tag", ["1", "2"], 2, 0)]
    changed = own.file("leaflets.csv", "code,first\na,1\nb,3\nc,4\n")
    own.load(f"press.Leaflet={changed}", *options)
    assert said(own) == [expected("Leaflet", ["2", "3"], 1, 1)]
    own.load(f"press.Leaflet={changed}", *options)
    assert said(own) == [expected("Leaflet", [], 0, 0)]


def test_what_a_failed_load_has_kept_is_said(shop: Shop) -> None:
    own = listening(shop)
    source = own.file("leaflets.jsonl", '{"code": "a"}\n{"code": "b"}\n{"code": "c", "first": 5}\n')
    own.query("INSERT INTO press_leaflet (code, first, extra) VALUES ('c', 3, '[]')", "archive")
    options = ["--match=press.Leaflet=code", "--on-conflict=stop", "--commit-every=2", "--batch-size=1"]
    done = own.manage("insert_data", f"press.Leaflet={source}", *options)
    assert done.returncode == 1
    assert said(own) == [expected("Leaflet", ["2", "3"], 2, 0, is_complete=False)]


def test_the_run_that_leads_workers_says_it(new_served_shop: ServedShop, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    own = listening(new_served_shop.copy_to(tmp_path))
    tags = own.file("tags.csv", "name\n" + "".join(f"tag{number}\n" for number in range(50)))
    options = ["--match=press.Tag=name", "--mode=dask", "--workers=1", "--share-size=0.0001", "--no-progress"]
    own.load(f"press.Tag={tags}", *options)
    [line] = said(own)
    keys = sorted(str(key) for (key,) in own.query("SELECT id FROM press_tag", "archive"))
    assert sorted(line.pop("keys")) == keys
    assert len(keys) == 50
    assert line.items() <= expected("Tag", keys, 50, 0).items()
