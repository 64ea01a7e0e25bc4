"""The formats of files that this project gets."""

from async_loader import Format


def formats():
    return [
        Format(
            "warehouse",
            "csv",
            encoding="cp1252",
            delimiter=";",
            skip_lines=1,
            decimal=",",
            thousands=".",
            date_format=["%d.%m.%Y"],
            true=["Ja"],
            false=["Nein"],
            null={"introduced": ["k.A."]},
            names={"sku": "Artikel"},
        )
    ]
