"""How the columns of an inspected file fit a table: which column each is likely meant for, and why. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from async_loader import Column, InspectedColumn, Table, Type

EXACT, NEAR, LOOKUP, BY_TYPE = "exact", "near", "lookup", "by type"
IGNORED, COMPUTED = "ignored", "computed"
MISSING, ABSENT, GENERATED = "missing", "absent", "generated"
# How alike two names are that may be meant for each other, as `difflib` measures it; and from which on they are taken
# for each other although the values look otherwise.
_ALIKE, _SAME_WORD = 0.78, 0.95
# Letters of a word by which a compound is known.
_COMPOUND = 4
_INSIGNIFICANT = re.compile(r"[\W_]+")
# What stands between the values of a many-to-many field in one text, and in a list of JSON.
_LISTED = re.compile(r"[|,]")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NUMBERS = (Type.INTEGER, Type.DECIMAL, Type.REAL)
# By type of a column, the types of values that it can take; one that is not here takes what has its own type.
_TAKES: Mapping[Type, Collection[Type]] = {
    Type.REAL: _NUMBERS,
    Type.DECIMAL: _NUMBERS,
    Type.DATE: (Type.DATE, Type.DATETIME),
    Type.DATETIME: (Type.DATETIME, Type.DATE),
    Type.DURATION: (Type.DURATION, Type.TIME),
}
MOMENTS = (Type.DATE, Type.DATETIME)
_TAKES_ALL = (Type.TEXT, Type.JSON, Type.OTHER, Type.BINARY)
# Words that mean the same in names of columns, English first.
_SAME = (
    ("id", "nr", "nummer", "number", "no", "key", "lfdnr"),
    ("sku", "code", "artikelnummer", "artikelnr", "artnr", "productnumber", "productno", "itemnumber", "artikel"),
    ("name", "bezeichnung", "title", "titel", "label", "fullname", "nom"),
    ("price", "preis", "unitprice", "einzelpreis", "stückpreis", "prix"),
    ("amount", "betrag", "quantity", "menge", "anzahl", "qty", "count", "stück", "value", "wert", "umsatz"),
    ("date", "datum", "day", "tag", "bookingdate", "buchungstag", "buchungsdatum"),
    ("at", "zeitpunkt", "timestamp", "datetime", "time", "createdat", "zeit"),
    ("email", "mail", "emailaddress", "emailadresse", "mailadresse"),
    ("customer", "kunde", "client", "customerid", "kundennr", "kundennummer"),
    ("product", "produkt", "productid", "produktnr"),
    ("category", "kategorie", "warengruppe", "categoryid"),
    ("active", "aktiv", "isactive", "enabled"),
    (
        "introduced",
        "since",
        "seit",
        "eingeführt",
        "eingeführtam",
        "einführung",
        "einführungsdatum",
        "validfrom",
        "gültigab",
    ),
    ("city", "ort", "stadt", "town"),
    ("zip", "plz", "postleitzahl", "postcode", "postalcode", "zipcode"),
    ("street", "straße", "strasse", "address", "adresse"),
    ("country", "land"),
    ("text", "beschreibung", "description", "verwendungszweck", "purpose", "bemerkung", "comment", "kommentar", "note"),
    ("phone", "telefon", "tel", "phonenumber", "telefonnummer"),
    ("lat", "latitude", "breite", "breitengrad"),
    ("lon", "lng", "longitude", "länge", "längengrad"),
)
_MEANING = {word: words[0] for words in _SAME for word in words}


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """A column of the file, of the table, or of both, and how they fit.

    name: in the file; empty where it has none. target: the table's column, or a lookup such as `customer__email`.
    how: one of the words above. why: what it rests on, in words. type: that of the target. nullable: whether the
    target may be null.
    """

    name: str
    target: str
    how: str
    why: str = ""
    type: Type | None = None
    nullable: bool = True

    @property
    def is_read(self) -> bool:
        """Whether the file's column is loaded."""
        return bool(self.name and self.target) and self.how != COMPUTED


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file fits a table. match: columns by which records find their rows; append: whether each is a new row."""

    columns: tuple[ColumnFit, ...]
    match: tuple[str, ...] = ()
    append: bool = False

    @property
    def names(self) -> dict[str, str]:
        """By target, the file's name for it."""
        return {each.target: each.name for each in self.columns if each.is_read}

    @property
    def types(self) -> dict[str, Type]:
        """By target, its type."""
        return {each.target: each.type for each in self.columns if each.is_read and each.type is not None}

    @property
    def missing(self) -> tuple[str, ...]:
        """The columns that the file must have, and has not."""
        return tuple(each.target for each in self.columns if each.how == MISSING)


@dataclass
class _Matching:
    """A matching that is being made: what of file and table is not matched yet."""

    table: Table
    others: Mapping[str, Sequence[str]]
    targets: Mapping[str, Table]
    columns: dict[str, InspectedColumn]
    fits: dict[str, ColumnFit] = field(default_factory=dict)

    @property
    def left(self) -> list[InspectedColumn]:
        return [column for name, column in self.columns.items() if name not in self.fits]

    @property
    def open(self) -> list[Column]:
        """The table's columns that nothing gives yet."""
        taken = {fit.target for fit in self.fits.values()}
        looked_up = {target.partition("__")[0] for target in taken if "__" in target}
        held = {each.column for each in self.table.references if each.name in looked_up}
        return [column for column in self.table.columns if column.name not in taken | held]

    def names_of(self, column: Column) -> tuple[str, ...]:
        return (column.name, *self.others.get(column.name, ()), *column.aliases)

    def take(self, name: str, target: str, how: str, why: str, kind: Type | None) -> None:
        self.fits[name] = ColumnFit(name, target, how, why, kind)


def fit_of(
    columns: Sequence[InspectedColumn], table: Table, others: Mapping[str, Sequence[str]], targets: Iterable[Table]
) -> Fit:
    """Return how the columns of a file fit a table.

    others: by column of the table, further names under which a file may have it. targets: the tables it references.
    """
    columns = _with_objects(columns, table, others)
    matching = _Matching(
        table, others, {each.name: each for each in targets}, {column.name: column for column in columns}
    )
    _match_codes(matching)
    _match_links(matching)
    _match_exactly(matching)
    _match_lookups(matching)
    _match_nearly(matching)
    _match_compounds(matching)
    _match_by_type(matching)
    return _complete(matching)


def _with_objects(
    columns: Sequence[InspectedColumn], table: Table, others: Mapping[str, Sequence[str]]
) -> list[InspectedColumn]:
    """Return the columns, and before its parts each object of which the table has a column of JSON."""
    wanted = {
        _plain(name)
        for column in table.columns
        if column.type is Type.JSON
        for name in (column.name, *others.get(column.name, ()), *column.aliases)
    }
    have = {column.name for column in columns}
    completed: list[InspectedColumn] = []
    for column in columns:
        if column.within and column.within not in have and _plain(column.within) in wanted:
            completed.append(InspectedColumn(column.within, Type.JSON, values=column.values, nulls=column.nulls))
            have.add(column.within)
        completed.append(column)
    return completed


def _match_exactly(matching: _Matching) -> None:
    for column in matching.table.columns:
        present = [each.name for each in matching.left if each.name in matching.names_of(column)]
        for name in present[:1]:
            matching.take(name, column.name, EXACT, "", column.type)
    for name in matching.columns:
        if name in matching.table.computed and name not in matching.fits:
            matching.take(name, name, COMPUTED, "the database computes it", None)
        if any(name == links.name or name.startswith(f"{links.name}__") for links in matching.table.links):
            matching.fits.setdefault(name, ColumnFit(name, name, EXACT, "many-to-many"))


def _match_codes(matching: _Matching) -> None:
    """Match columns named like a foreign key whose values are no keys of its target, but may be a unique column's."""
    for reference in matching.table.references:
        target, own = matching.targets.get(reference.table), matching.table.column(reference.column)
        if target is None or not reference.name:
            continue
        for each in matching.left:
            score, _ = _likeness(each.name, matching.names_of(own))
            code = _code(target, each)
            if score < _ALIKE or code is None or not each.values or _takes(own, each):
                continue
            why = f"no {reference.to or target.key} of {target.name}, but maybe its {code.name}, which is unique"
            matching.take(each.name, f"{reference.name}__{code.name}", LOOKUP, why, code.type)
            break


def _match_links(matching: _Matching) -> None:
    """Match columns named like a many-to-many field, by the column of its target whose values they may be."""
    for links in matching.table.links:
        if links.problem:
            continue
        target = matching.targets.get(links.reference.table)
        for each in matching.left:
            score, why = _likeness(each.name, [links.name])
            if score < _SAME_WORD or target is None or each.name in matching.table.column_names:
                continue
            held = target.column(links.reference.to or target.key)
            values = _as_single(each)
            if not _takes(held, values):
                code = _code(target, values)
                if code is not None and code is not held:
                    why = f"no {held.name} of {target.name}, but maybe its {code.name}, which is unique"
                    matching.take(each.name, f"{links.name}__{code.name}", LOOKUP, why, None)
                    break
            if each.name != links.name:
                matching.take(each.name, links.name, NEAR, f"many-to-many; {why}", None)
            break


def _as_single(seen: InspectedColumn) -> InspectedColumn:
    """Return a column of several values in each record as one that has each of them: lists, or parts between bars."""
    parts = [part.strip() for text in seen.examples for part in _LISTED.split(text.strip("[]")) if part.strip()]
    kind = Type.INTEGER if parts and all(part.isdecimal() for part in parts) else Type.TEXT
    is_uuid = bool(parts) and all(_UUID.fullmatch(part.strip("\"'")) for part in parts)
    return replace(seen, type=Type.UUID if is_uuid else kind, examples=tuple(parts), date_formats=())


def _code(target: Table, seen: InspectedColumn) -> Column | None:
    """Return the only unique column that can take the values, or the only one of them that is never null."""
    possible = [column for column in target.columns if column.unique and _takes(column, seen)]
    if len(possible) > 1:
        possible = [column for column in possible if not column.nullable]
    return possible[0] if len(possible) == 1 else None


def _match_lookups(matching: _Matching) -> None:
    """Match columns that give other values of what a foreign key leads to than its key."""
    is_open = {column.name for column in matching.open}
    for reference in matching.table.references:
        target = matching.targets.get(reference.table)
        if target is None or not reference.name or reference.column not in is_open:
            continue
        for column in target.columns:
            lookup = f"{reference.name}__{column.name}"
            for each in matching.left:
                if each.name == lookup:
                    matching.take(each.name, lookup, LOOKUP, f"{column.name} of {target.name}", column.type)
                elif _meaning(each.name) == _meaning(lookup) and column.unique and _takes(column, each):
                    why = f"{column.name} of {target.name}, which is unique"
                    matching.take(each.name, lookup, LOOKUP, why, column.type)


def _match_nearly(matching: _Matching) -> None:
    pairs = sorted(
        (
            (-score, place, each.name, column, why)
            for place, column in enumerate(matching.open)
            for each in matching.left
            for score, why in [_likeness(each.name, matching.names_of(column), matching.table.name)]
            if score >= (_ALIKE if _takes(column, each) else _SAME_WORD)
        ),
        key=lambda pair: pair[:3],
    )
    for _, _, name, column, why in pairs:
        if name not in matching.fits and column in matching.open:
            seen = matching.columns[name]
            doubt = "" if _takes(column, seen) else f", but its values look like {seen.type.value}"
            matching.take(name, column.name, NEAR, why + doubt, column.type)


def _match_compounds(matching: _Matching) -> None:
    """Match a column whose name ends with a word for one of the table's, where no other of the file's does."""
    for column in matching.open:
        possible = [
            (each.name, word)
            for each in matching.left
            if _takes(column, each) and (word := _last_word(each.name, column.name))
        ]
        if len(possible) == 1:
            name, word = possible[0]
            matching.take(name, column.name, NEAR, f"ends with {word}, a word for it", column.type)


def _last_word(name: str, wanted: str) -> str:
    """Return the word with which a name ends, if it means the same as the wanted name; else nothing."""
    plain, meant = _plain(name), _meaning(wanted)
    words = [word for word, meaning in _MEANING.items() if meaning == meant and len(word) >= _COMPOUND]
    return max((word for word in words if plain.endswith(word) and plain != word), key=len, default="")


def _match_by_type(matching: _Matching) -> None:
    """Match a column that the file must have with the only one left that it can take."""
    for column in matching.open:
        if not column.is_required or column.generated:
            continue
        possible = [each for each in matching.left if _takes(column, each) and each.values]
        rivals = [
            other for other in matching.open if other.is_required and not other.generated and other.type == column.type
        ]
        if len(possible) == 1 and len(rivals) == 1:
            why = f"the only one left that {column.type.value} can be read from"
            matching.take(possible[0].name, column.name, BY_TYPE, why, column.type)


def _complete(matching: _Matching) -> Fit:
    """Return the fit, with what neither side has for the other."""
    table = matching.table
    key = table.column(table.key)
    fits = [_with_nulls(matching, fit) for fit in matching.fits.values()]
    has_key = any(fit.target == key.name for fit in fits)
    match, append = ((), False) if has_key or table.match or table.append else _without_key(table, key, fits)
    whole = {fit.name for fit in fits if fit.target}
    fits += [ColumnFit(column.name, "", IGNORED, _why_ignored(column, whole)) for column in matching.left]
    for column in matching.open:
        if column is key and (match or append or table.match or table.append):
            fits.append(ColumnFit("", column.name, GENERATED, "made for each new row", column.type))
        elif column.is_required:
            fits.append(ColumnFit("", column.name, MISSING, "the file must have it", column.type))
        else:
            fits.append(ColumnFit("", column.name, ABSENT, "gets its default", column.type))
    order = {name: place for place, name in enumerate(matching.columns)}
    return Fit(tuple(sorted(fits, key=lambda fit: order.get(fit.name, len(order)))), match, append)


def _with_nulls(matching: _Matching, fit: ColumnFit) -> ColumnFit:
    """Return the fit; for a column that may not be null, with what is said of texts that may stand for null."""
    column = next((each for each in matching.table.columns if each.name == fit.target), None)
    if column is None or column.nullable:
        return fit
    texts = matching.columns[fit.name].null_texts
    doubt = f"{next(iter(texts))!r} may stand for null, which the column may not be" if texts else ""
    return replace(fit, nullable=False, why="; ".join(filter(None, (fit.why, doubt))))


def _why_ignored(column: InspectedColumn, read: Collection[str]) -> str:
    return f"a part of {column.within}, which is read as a whole" if column.within in read else "no column is like it"


def _without_key(table: Table, key: Column, fits: Sequence[ColumnFit]) -> tuple[tuple[str, ...], bool]:
    """Return how records find their rows where the file has no key: by unique columns that it has, or not at all."""
    if not key.generated:
        return (), False
    given = {fit.target for fit in fits}
    for unique in table.unique_sets:
        if set(unique.columns) <= given:
            return unique.columns, False
    return (), True


def by_place(columns: Sequence[InspectedColumn], table: Table) -> tuple[str, ...]:
    """Return names for the columns of a file without a header: those of the table, where as many follow each other that
    can take the values; else nothing.
    """
    key = table.column(table.key)
    for wanted in (table.columns, tuple(column for column in table.columns if not (column is key and key.generated))):
        chosen = wanted[: len(columns)]
        required = [column for column in wanted[len(columns) :] if column.is_required]
        if len(chosen) == len(columns) and not required and all(map(_takes, chosen, columns)):
            return tuple(column.name for column in chosen)
    return ()


def renamed(columns: Sequence[InspectedColumn], names: Sequence[str]) -> tuple[InspectedColumn, ...]:
    """Return the columns under other names."""
    return tuple(replace(column, name=name) for column, name in zip(columns, names, strict=True))


def _takes(column: Column, seen: InspectedColumn) -> bool:
    """Return whether a column of a table can take the values that were seen."""
    if not seen.values or column.type in _TAKES_ALL or column.convert is not None:
        return True
    if column.type in (Type.DATE, Type.DATETIME) and seen.date_formats:
        return True
    if column.type is Type.BOOLEAN and seen.type is Type.INTEGER:
        return set(seen.examples) <= {"0", "1"}
    return seen.type in _TAKES.get(column.type, (column.type,))


def _likeness(name: str, candidates: Sequence[str], table: str = "") -> tuple[float, str]:
    """Return how alike a name is to the likest of a column's names, and why. table: its name may stand before them."""
    before, _, last = name.strip(".").rpartition(".")
    best, why = 0.0, ""
    for given in dict.fromkeys((name, last)):
        for candidate in candidates:
            if before and _plain(before) == _plain(candidate):
                # A part is not the whole.
                continue
            score, reason = _alike(_plain(given), _plain(candidate))
            if score > best:
                best, why = score, reason if given == name or not before else f"{reason}, within {before}"
    bare = _without_table(name, table)
    if bare and best < _SAME_WORD and any(_alike(_plain(bare), _plain(each))[0] >= _SAME_WORD for each in candidates):
        return _SAME_WORD, "the name of the table stands before it"
    return best, why


def _without_table(name: str, table: str) -> str:
    """Return a name without the table's own name before it, in the singular or plural; nothing where it is not."""
    own = _words(table)
    words = _words(name)
    for count in range(1, min(len(own), len(words) - 1) + 1):
        if [word.removesuffix("s") for word in words[:count]] == [word.removesuffix("s") for word in own[-count:]]:
            return "_".join(words[count:])
    return ""


def _words(name: str) -> list[str]:
    """Return the words of a name: between them stand blanks, punctuation, or a capital after a small letter."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold()
    return [word for word in re.split(r"[\W_]+", parted) if word]


def _alike(one: str, other: str) -> tuple[float, str]:
    if one == other:
        return 1.0, "the same but for case, blanks and punctuation"
    if _meaning(one) == _meaning(other):
        return 0.95, "another word for it"
    return difflib.SequenceMatcher(None, one, other).ratio(), "spelled nearly alike"


def _plain(name: str) -> str:
    """Return a name without what is written in different ways: case, blanks and punctuation."""
    return _INSIGNIFICANT.sub("", name.casefold())


def _meaning(name: str) -> str:
    """Return a name as other words of the same meaning have it too, word by word where it has several."""
    return _MEANING.get(_plain(name)) or "".join(_MEANING.get(word, word) for word in _words(name))
