"""Articles with tags in their own database and readers in another one, as tests of many-to-many links load them."""

from __future__ import annotations

from typing import Any

from async_loader import Column, Links, Reference, Table, Type, not_empty
from tests.sample import Place

KEY = Column("id", Type.INTEGER, generated=True)
TAGS = Table("tags", "orders", (KEY, Column("name", Type.TEXT, unique=True), Column("kind", Type.TEXT, default="")))
PEOPLE = Table("people", "users", (Column("id", Type.UUID), Column("email", Type.TEXT)))
ARTICLE_TAGS = Table(
    "article_tags",
    "orders",
    (KEY, Column("article_id", Type.INTEGER), Column("tag_id", Type.INTEGER), Column("weight", Type.REAL, default=1.0)),
    references=(Reference("article_id", "articles", name="article"), Reference("tag_id", "tags", name="tag")),
    unique_together=(("article_id", "tag_id"),),
)
READERS = Table(
    "readers",
    "orders",
    (KEY, Column("article_id", Type.INTEGER), Column("person_id", Type.UUID)),
    references=(Reference("article_id", "articles", name="article"), Reference("person_id", "people", name="person")),
)
ARTICLES = Table(
    "articles",
    "orders",
    (KEY, Column("title", Type.TEXT, unique=True), Column("pages", Type.INTEGER, nullable=True, default=None)),
    rules=(not_empty("title"),),
    links=(
        Links("tags", ARTICLE_TAGS, "article_id", "tag_id"),
        Links("readers", READERS, "article_id", "person_id"),
    ),
)
TABLES = (TAGS, PEOPLE, ARTICLES, ARTICLE_TAGS, READERS)
MATCH = {"articles": ("title",), "tags": ("name",)}
ANN, BOB = f"{1:032x}", f"{2:032x}"


def tags_of(place: Place) -> list[tuple[Any, ...]]:
    sql = """SELECT title, name FROM articles JOIN article_tags ON article_id = articles.id
        JOIN tags ON tag_id = tags.id ORDER BY title, name"""
    return place.query("orders", sql)
