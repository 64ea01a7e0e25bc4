"""The files that contenders read: made from random but seeded records, or derived from files that are given.

A table's records are a frame, one column for each of the table's, and all functions on frames are pure.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.errors import BenchmarkError

SCHEMA: Mapping[str, Mapping[str, type[pl.DataType]]] = {
    "users": {"id": pl.Int64, "name": pl.String, "email": pl.String},
    "products": {"id": pl.Int64, "name": pl.String, "price": pl.Float64},
    "orders": {"id": pl.Int64, "user_id": pl.Int64, "product_id": pl.Int64, "quantity": pl.Int64},
}
MODELS = {"users": "core.user", "products": "core.product", "orders": "core.order"}
TABLES = tuple(SCHEMA)
# Any number does; the same one makes the same files everywhere.
_SEED = 20_240_601
# One in this many texts of the case `quoted` has a comma and a line break inside.
_AWKWARD_EVERY = 10

Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files `<directory>/<table><suffix>`, and by table how many records each holds."""

    directory: Path
    suffix: str
    records: Mapping[str, int]

    def source(self, table: str) -> Path:
        """Return the path of the table's file."""
        return self.directory / f"{table}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a dataset comes from the base frames: what is changed, and how a frame is written."""

    change: Callable[[Frames], Frames]
    write: Callable[[pl.DataFrame, Path], object] = pl.DataFrame.write_csv
    suffix: str = ".csv"

    def cook(self, frames: Frames, directory: Path) -> Dataset:
        """Write the files. Raises BenchmarkError if they cannot be written."""
        changed = self.change(frames)
        try:
            directory.mkdir(parents=True)
            for table, frame in changed.items():
                self.write(frame, directory / f"{table}{self.suffix}")
        except OSError as error:
            raise BenchmarkError(f"{directory}: cannot be written: {error.strerror or error}") from error
        return Dataset(directory, self.suffix, {table: frame.height for table, frame in changed.items()})


def recipes(peer_records: int) -> Mapping[str, Recipe]:
    """Return all datasets that can be derived, by name. `peer_records`: how many of each table the slow peers get."""
    return {
        "csv": Recipe(_same),
        "jsonl": Recipe(_same, pl.DataFrame.write_ndjson, ".jsonl"),
        "parquet": Recipe(_same, pl.DataFrame.write_parquet, ".parquet"),
        "changed": Recipe(changed),
        "quoted": Recipe(awkward, _write_quoted),
        "sorted": Recipe(lambda frames: {table: frame.sort("id") for table, frame in frames.items()}),
        "shuffled": Recipe(shuffled),
        "one-table": Recipe(lambda frames: {"users": _thrice(frames["users"])}),
        "numbered": Recipe(numbered),
        "keyless": Recipe(lambda frames: {table: frame.drop("id") for table, frame in numbered(frames).items()}),
        "named": Recipe(named),
        "half-bad": Recipe(lambda frames: spoiled(frames, 0.5)),
        "ten": Recipe(lambda frames: {"orders": frames["orders"].head(10)}),
        "part": Recipe(lambda frames: _head(frames, peer_records)),
        "fixture": Recipe(lambda frames: _fixture(_head(frames, peer_records)), pl.DataFrame.write_ndjson, ".jsonl"),
    }


def made(records: int, invalid: float) -> Frames:
    """Make `records` records of each table, with keys from 1 on. The part `invalid` of them is bad."""
    chance = np.random.default_rng(_SEED)
    key = pl.int_range(1, records + 1, eager=True).alias("id")

    def any_of(last: int, unit: float = 1) -> pl.Series:
        return pl.Series(chance.integers(1, last, records, endpoint=True)) * unit

    frames = {
        "users": pl.DataFrame({"id": key}).with_columns(
            name=pl.format("User {}", "id"), email=pl.format("user{}@example.com", "id")
        ),
        "products": pl.DataFrame({"id": key, "price": any_of(100_000, 0.25)}).select(
            "id", pl.format("Product {}", "id").alias("name"), "price"
        ),
        "orders": pl.DataFrame(
            {"id": key, "user_id": any_of(records), "product_id": any_of(records), "quantity": any_of(9)}
        ),
    }
    return spoiled(frames, invalid)


def spoiled(frames: Frames, share: float) -> Frames:
    """Return the same records, of which a part, at random, breaks a rule or references what does not exist."""
    chance = np.random.default_rng(_SEED + 1)

    def spoil(table: str, **broken: pl.Expr) -> pl.DataFrame:
        frame = frames[table]
        bad = pl.Series(chance.random(frame.height) < share)
        which = pl.Series(chance.integers(0, len(broken), frame.height))
        return frame.with_columns(
            pl.when(bad & (which == number)).then(value).otherwise(column).alias(column)
            for number, (column, value) in enumerate(broken.items())
        )

    nowhere = pl.col("id") + 10**15
    return {
        "users": spoil("users", name=pl.lit(""), email=pl.col("email").str.replace_all("@", " at ", literal=True)),
        "products": spoil("products", price=-pl.col("price").abs()),
        "orders": spoil("orders", quantity=-pl.col("quantity").abs(), user_id=nowhere, product_id=nowhere),
    }


def changed(frames: Frames) -> Frames:
    """Return each record with other values, but the same key and references. Bad records stay bad, good ones good."""
    return {
        "users": frames["users"].with_columns(pl.col("name") + pl.col("name")),
        "products": frames["products"].with_columns(pl.col("price") * 2),
        "orders": frames["orders"].with_columns(pl.col("quantity") * 2),
    }


def shuffled(frames: Frames) -> Frames:
    """Return the same records in random order."""
    return {table: frame.sample(fraction=1, shuffle=True, seed=_SEED) for table, frame in frames.items()}


def awkward(frames: Frames) -> Frames:
    """Put a comma and a line break into some names. Empty names stay empty."""
    hit = (pl.col("id") % _AWKWARD_EVERY == 0) & (pl.col("name") != "")
    name = pl.when(hit).then(pl.col("name") + ", the second\nof this name").otherwise("name").alias("name")
    return {table: frame.with_columns(name) if "name" in frame.columns else frame for table, frame in frames.items()}


def numbered(frames: Frames) -> Frames:
    """Return the valid records, whose ids count from 1 on, as generated keys do. Each order has a number besides."""
    users = _counted(
        frames["users"].filter((pl.col("name") != "") & pl.col("email").str.contains("@", literal=True)), "email"
    )
    products = _counted(frames["products"].filter(pl.col("price") > 0), "name")
    orders = frames["orders"].filter(pl.col("quantity") > 0)
    for column, target in (("user_id", users), ("product_id", products)):
        ids = target.select(pl.col("before").alias(column), pl.col("id").alias("now"))
        orders = (
            orders.join(ids, on=column, maintain_order="left").with_columns(pl.col("now").alias(column)).drop("now")
        )
    orders = _counted(orders, "id").with_columns(number=pl.format("N{}", "id"))
    columns = {
        "users": ["name", "email"],
        "products": ["name", "price"],
        "orders": ["number", *list(SCHEMA["orders"])[1:]],
    }
    all_of_them = {"users": users, "products": products, "orders": orders}
    return {table: frame.select("id", *columns[table]) for table, frame in all_of_them.items()}


def _counted(frame: pl.DataFrame, unique: str) -> pl.DataFrame:
    """Return records that differ in the column `unique`, with ids from 1 on; those that they had are in `before`."""
    distinct = frame.unique(unique, keep="first", maintain_order=True).rename({"id": "before"})
    return distinct.with_columns(pl.int_range(1, pl.len() + 1).alias("id"))


def named(frames: Frames) -> Frames:
    """Return the valid records; orders name a user by e-mail address, and a product by name."""
    known = numbered(frames)
    orders = known["orders"]
    for table, column, name in (("users", "user_id", "email"), ("products", "product_id", "name")):
        names = known[table].select(pl.col("id").alias(column), pl.col(name).alias(f"{table[:-1]}__{name}"))
        orders = orders.join(names, on=column, how="left", maintain_order="left").drop(column)
    return {**known, "orders": orders}


def _thrice(users: pl.DataFrame) -> pl.DataFrame:
    """Return three users with ids of their own for each."""
    apart = pl.col("id").max() + 1
    return pl.concat([users.with_columns(pl.col("id") + times * apart) for times in range(3)])


def given(directory: Path) -> Dataset:
    """Return the files `users.csv` and so on of a directory. Raises BenchmarkError if one cannot be read."""
    dataset = Dataset(directory, ".csv", {})
    return Dataset(directory, ".csv", {table: _count(dataset.source(table)) for table in TABLES})


def read(dataset: Dataset) -> Frames:
    """Read given files as frames, to derive others from. Raises BenchmarkError for a value of another type."""
    try:
        return {table: _read(dataset.source(table), columns) for table, columns in SCHEMA.items()}
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        advice = "leave out --peers, and all cases but csv"
        raise BenchmarkError(f"{dataset.directory}: no other files can be made of these; {advice}: {reason}") from error


def _read(path: Path, columns: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    frame = pl.read_csv(path, columns=list(columns), schema_overrides=dict(columns))
    return frame.select(list(columns)).with_columns(pl.col(pl.String).fill_null(""))


def misplaced(directory: Path) -> str:
    """Describe the first given file whose columns are not those of its table, in order; empty if there is none."""
    for table, columns in SCHEMA.items():
        path = directory / f"{table}.csv"
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            if next(csv.reader(file), []) != list(columns):
                return f"{path} must have the columns {', '.join(columns)}"
    return ""


def _count(path: Path) -> int:
    """Count the records of a CSV file, without its header."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            return max(sum(1 for record in csv.reader(file) if record) - 1, 0)
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BenchmarkError(f"{path}: cannot be read: {reason}") from error


def _same(frames: Frames) -> Frames:
    return frames


def _head(frames: Frames, records: int) -> Frames:
    return {table: frame.head(records) for table, frame in frames.items()}


def _fixture(frames: Frames) -> Frames:
    """Return objects as Django's serializers write them: model, primary key, and the other fields."""
    return {
        table: frame.select(
            pl.lit(MODELS[table]).alias("model"),
            pl.col("id").alias("pk"),
            pl.struct(pl.exclude("id")).alias("fields"),
        )
        for table, frame in frames.items()
    }


def _write_quoted(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path, quote_style="non_numeric")
