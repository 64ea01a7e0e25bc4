"""Workers link rows as one process does, and leave the links of which records do not speak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Workers
from tests.integration.pairs import Pair, orderly
from tests.integration.press import MATCH, TABLES, tags_of
from tests.integration.test_workers import cluster
from tests.integration.test_workers_finding import without_lists
from tests.stores import Databases

pytest.importorskip("distributed")

pytestmark = pytest.mark.only("postgresql")

__all__ = ["cluster"]


@pytest.mark.wide
def test_workers_link_rows_of_the_run_and_change_sets(tmp_path: Path, store: Databases, cluster: Workers) -> None:
    pair = Pair(tmp_path, store, cluster, TABLES)
    tags = pair.one.file("tags.csv", "name\n" + "".join(f"tag{number}\n" for number in range(9)))

    def load(articles: str, **options: Any) -> None:
        sources = {"tags": tags, "articles": articles}
        alone = pair.one.load("sequential", sources, match=MATCH, on_conflict="update", **options)
        spread = pair.spread(sources, match=MATCH, on_conflict="update", **options)
        assert without_lists(spread) == without_lists(alone)
        assert tags_of(pair.many) == tags_of(pair.one)
        orderly(pair.many)

    rows = "".join(f"title{number},tag{number % 10}|tag{number % 3}\n" for number in range(40))
    load(pair.one.file("articles.csv", f"title,tags__name\n{rows}"))
    lines = [{"title": f"title{number}"} | ({"tags__name": ["tag1"]} if number % 2 else {}) for number in range(30)]
    load(pair.one.file("articles.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines)))
    assert ("title1", "tag1") in tags_of(pair.many)
    assert ("title0", "tag0") in tags_of(pair.many)
