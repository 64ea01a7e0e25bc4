"""Numbers of which most have a comma before their decimals: read as if they had a point, they are rejects, and those
without decimals among them are taken for what they are not (`1.000`). Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from async_loader.columns import Column, Type
from async_loader.records.batches import Batch

# A number as a message shows it, in quotes. What has three digits after its only mark may be a thousand in English.
_COMMA = (
    r"^['\"][+-]?(?:[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|0,[0-9]{3}|[0-9]{1,3}(?:[. '\u00a0\u202f][0-9]{3})+,[0-9]+)['\"]$"
)
_WARNING = (
    "most values of {columns} have a comma before their decimals: --decimal , reads them, and --thousands . those with "
    "points between their thousands"
)


def comma_balance(columns: Sequence[Column], batch: Batch) -> Counter[str]:
    """Return, by column of decimals or reals, how many more of a batch's values have a comma before their decimals than
    have none. What is null or missing is not counted.
    """
    balance = Counter[str]()
    for column in columns:
        if column.type not in (Type.REAL, Type.DECIMAL) or column.name not in batch.values.columns:
            continue
        values, faults = batch.values[column.name], batch.faults.get(column.name)
        balance[column.name] = values.null_count() - len(values)
        if faults is not None:
            is_fault = faults["code"].is_not_null() & (faults["code"] != "missing")
            is_comma = faults.filter(is_fault)["shown"].str.contains(_COMMA)
            balance[column.name] += 2 * int(is_comma.sum()) - len(is_comma)
    return balance


def comma_warnings(balance: Counter[str]) -> tuple[str, ...]:
    """Return a warning that names the columns most of whose values have a comma before their decimals; nothing where
    there are none.
    """
    columns = sorted(column for column, excess in balance.items() if excess > 0)
    return (_WARNING.format(columns=" and of ".join(columns)),) if columns else ()
