"""Files as they come: by name, how each is made, for which model, and what it loads."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter


@dataclass(frozen=True)
class Awkward:
    """A file. name, content: of it. model: the one that it is for. loaded, rejected: records that a load keeps, and
    does not. form: parts of its format that are guessed; says: a part of the evidence or of what is ambiguous.
    """

    name: str
    content: bytes
    model: str
    loaded: int
    rejected: int = 0
    form: Mapping[str, Any] | None = None
    says: str = ""

    def write(self, directory: Path) -> str:
        """Write the file, and return its path."""
        path = directory / self.name
        path.write_bytes(self.content)
        return str(path)


GERMAN = (
    "Lager Süd\r\nStand 31.12.2024\r\n"
    "SKU;Preis;Introduced;Aktiv\r\na1;1.488,50;31.12.2024;Ja\r\nb2;0,35;01.02.2025;Nein\r\nc3;12,00;k.A.;Ja\r\n"
)
BANK = """Stadtsparkasse Köln
Kontoauszug Nr. 7
Konto;DE02 1203 0000 0000 2020 51
Zeitraum;01.01.2024 - 31.01.2024

sku;price;introduced
MIETE;-1.000,00;01.02.2024
GEHALT;2.488,69;13.02.2024
STROM;-236,48;14.02.2024
WASSER;-36,48;15.02.2024
Summe;1.215,73
"""
API = {
    "meta": {"pages": 1},
    "results": {
        "items": [
            {"sku": "a", "price": 1.5, "facts": {"since": "2024-01-31"}, "tags": ["new", {"x": 1}]},
            {"sku": "b", "price": 2, "facts": {"since": "2024-02-01"}, "tags": []},
        ]
    },
}
NESTED = '{"sku": "a", "facts": {"price": 1.5}}\n{"sku": "b", "facts": {"price": 2.25}}\n'
SHEET = pl.DataFrame(
    {"sku": ["a", "b"], "price": [1.5, 2.0], "since": ["31.12.2024", "01.01.2025"], "active": [True, False]}
)
# With types of its own, as a warehouse writes them.
TYPED = SHEET.with_columns(pl.col("price").cast(pl.Decimal(8, 2)), pl.col("since").str.to_date("%d.%m.%Y"))


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    """Return what a function writes."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def titled() -> bytes:
    """Return a workbook with a title and an empty row before the header."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        rows: tuple[list[object], ...] = (
            ["Prices"],
            ["Printed on", "30.11.2026"],
            [],
            ["sku", "price", "active"],
            ["r1", 1.5, True],
            ["r2", 2, False],
        )
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)
    return file.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


PRODUCT, CUSTOMER, ORDER = "shop.Product", "shop.Customer", "shop.Order"
SHOPS = (
    Awkward(
        "german.csv",
        GERMAN.encode("cp1252"),
        PRODUCT,
        3,
        form={"encoding": "cp1252", "delimiter": ";", "skip_lines": 2},
    ),
    Awkward("bank.csv", BANK.encode("cp1252"), PRODUCT, 4, 1, {"skip_lines": 5}, "preamble: 5 lines"),
    Awkward("gtfs.txt", '\ufeffsku,price\r\nS1,50.94\r\n"S2",50.95\r\n'.encode(), PRODUCT, 2, says="byte order mark"),
    Awkward("tabs.tsv", b"sku\tprice\nt1\t1.5\nt2\t2\n", PRODUCT, 2, form={"delimiter": "\t"}),
    Awkward("pipes.dat", b"sku|price|active\np1|1.5|Y\np2|2|N\np3|3|N\n", PRODUCT, 3, form={"delimiter": "|"}),
    Awkward("wide.csv", "sku,price\nw1,1.5\nw2,2\n".encode("utf-16"), PRODUCT, 2, says="UTF-16"),
    Awkward("plain.csv", "sku,price\nx1,1.5\nx2,2\n".encode("utf-16-le"), PRODUCT, 2, form={"encoding": "utf-16-le"}),
    Awkward("bare.csv", b"n1,1.5,2024-01-31\nn2,2.25,2024-02-01\n", PRODUCT, 2, says="header: none"),
    Awkward(
        "quoted.csv",
        b"sku,price,tags\n'q1','1.5','[\"a,b\"]'\n'q2','2','[\"it''s\"]'\n",
        PRODUCT,
        2,
        form={"quote": "'"},
    ),
    Awkward("mysql.csv", b'sku,price,since\n"e1",1.5,"2024-01-31"\n"e2",2,\\N\n', PRODUCT, 2),
    Awkward(
        "escaped.csv",
        b'sku,price,tags\n"f1",1.5,"[\\"a\\"]"\n"f2",2,"[\\"b, c\\"]"\n',
        PRODUCT,
        2,
        form={"escape": "\\"},
    ),
    Awkward(
        "usa.csv",
        b'sku,price,since\nu1,"1,488.50",01/31/2024\nu2,12.34,02/03/2024\n',
        PRODUCT,
        2,
        form={"thousands": ","},
    ),
    Awkward("dots.csv", b"sku;price\nd1;1.488\nd2;12.000\n", PRODUCT, 2, says="may be 1488 or 1.488"),
    Awkward(
        "doubt.csv",
        b"sku;price;since\nh1;1,5;01.02.2024\nh2;2,5;03.04.2024\n",
        PRODUCT,
        2,
        says="01.02.2024 in since may begin",
    ),
    Awkward("api.json", json.dumps(API, indent=2).encode(), PRODUCT, 2, says="array: results.items"),
    Awkward("nested.jsonl", NESTED.encode(), PRODUCT, 2),
    Awkward("array.json", b'[{"sku": "j1", "price": 1}, {"sku": "j2", "price": "2"}]', PRODUCT, 2),
    Awkward("sheet.xlsx", written(SHEET.write_excel), PRODUCT, 2),
    Awkward("rows.parquet", written(TYPED.write_parquet), PRODUCT, 2),
    Awkward("batches.arrow", written(TYPED.write_ipc), PRODUCT, 2),
    Awkward("packed.csv.gz", gzip.compress(GERMAN.encode("cp1252")), PRODUCT, 3, form={"delimiter": ";"}),
    Awkward("misnamed.json", b"sku,price\nm1,1.5\nm2,2\n", PRODUCT, 2, says="while its name says json"),
    Awkward("odd=name, with 'blanks'.csv", b"sku,a=b;c,price\no1,x,1.5\no2,y,2\n", PRODUCT, 2),
    Awkward("excel.csv", b"sep=;\r\nsku;price\r\ns1;1,5\r\ns2;2,5\r\n", PRODUCT, 2, form={"skip_lines": 1}),
    Awkward(
        "comments.csv",
        b"# made by hand\n# twice\nsku,price\nc1,1.5\n# between\nc2,2\n",
        PRODUCT,
        2,
        form={"comment": "#"},
    ),
    Awkward("twice.csv", b"sku,price,note,note\nv1,1.5,a,b\nv2,2,c,d\n", PRODUCT, 2, says="names a column twice"),
    Awkward("blanks.csv", b"sku, price , since\nb1, 1.5 , 2024-01-31\nb2, 2 ,\n", PRODUCT, 2, form={"trim": True}),
    Awkward(
        "letters.csv",
        "sku;price;name\nk1;1,5;Größe\nk2;2,5;Maß\n".encode("cp850"),
        PRODUCT,
        2,
        form={"encoding": "cp850"},
    ),
    Awkward("people.csv", b"Name;E-Mail\nAda;ada@example.com\nBob;bob@example.com\n", CUSTOMER, 2),
    Awkward(
        "orders.csv",
        b"customer__email,at,menge\nada@example.com,2024-01-31 12:00,3\nbob@example.com,2024-02-01 08:30,1\n",
        ORDER,
        2,
    ),
    Awkward(
        "codes.csv", b"customer,at\nada@example.com,2024-01-31 12:00\nbob@example.com,2024-02-01 08:30\n", ORDER, 2
    ),
    Awkward("titled.xlsx", titled(), PRODUCT, 2, says="preamble: 3 rows"),
    Awkward("feed.zip", zipped({"stops.txt": "\ufeffsku,price\r\nz1,1.5\r\n".encode()}), PRODUCT, 1),
    Awkward("answer.zip", zipped({"api.json": json.dumps(API).encode()}), PRODUCT, 2, says="array: results.items"),
    Awkward("office.zip", zipped({"sheet.xlsx": written(SHEET.write_excel)}), PRODUCT, 2),
    Awkward("more.parquet.gz", gzip.compress(written(TYPED.write_parquet)), PRODUCT, 2),
    Awkward("years.csv", b"sku,price,2019,2020\ny1,1,5,6\ny2,2,7,8\n", PRODUCT, 2, says="header: yes; 3 of 4 names"),
    Awkward(
        "mac.csv",
        "sku,price,name\rr1,1,Zo\u00eb\rr2,2,Bob\r".encode("mac_roman"),
        PRODUCT,
        2,
        form={"encoding": "mac_roman"},
    ),
    Awkward("sum.csv", b"sku;price\nA;10,50\nB;1,25\nGesamt;11,75\n", PRODUCT, 3, says="begins with 'Gesamt'"),
    Awkward("texts.jsonl", b'{"sku": "l1", "price": "1"}\n{"sku": "l2", "price": "2"}\n', PRODUCT, 2),
    Awkward(
        "objects.jsonl",
        b'{"sku": "m1", "price": "1.10", "tags": {"fw": "1.10", "at": {"x": 1}}}\n'
        b'{"sku": "m2", "price": "2.20", "tags": {"fw": "1.9"}}\n',
        PRODUCT,
        2,
    ),
    Awkward(
        "null.jsonl",
        b'{"sku": "g1", "price": 1, "owner": null}\n{"sku": "g2", "price": 2, "owner": {"email": "a@b.org"}}\n',
        PRODUCT,
        2,
    ),
    Awkward("points.csv", b"Artikelnr.;price;Lager.;a.b\np1;1,5;x;y\np2;2;x;y\n", PRODUCT, 2),
    Awkward("inches.csv", b'sku,price,name\ni1,1.5,3" nail\ni2,2.5,5" nail\n', PRODUCT, 2, form={"quote": ""}),
)
