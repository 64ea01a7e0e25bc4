"""Contents that are read from storage and servers, in every format."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import polars as pl

ROWS = [(key, f"name {key}" if key % 7 else "", f"user{key}@example.com") for key in range(1, 2_001)]
CSV = "id,name,email\n" + "".join(f'{key},"{name}",{email}\n' for key, name, email in ROWS)
JSON_LINES = "".join(json.dumps({"id": key, "name": name, "email": email}) + "\n" for key, name, email in ROWS)


def parquet(rows: list[tuple[int, str, str]], **options: Any) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, schema=["id", "name", "email"], orient="row").write_parquet(out, **options)
    return out.getvalue()


CONTENTS = {
    "u.csv": CSV.encode(),
    "u.csv.gz": gzip.compress(CSV.encode()),
    "u.jsonl": JSON_LINES.encode(),
    "u.ndjson.gz": gzip.compress(JSON_LINES.encode()),
    "u.parquet": parquet(ROWS),
}
