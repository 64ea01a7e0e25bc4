"""The cells of a sheet that have no value although something stands in them: they show an error, or hold a formula that
was never calculated. The library that reads the values of spreadsheets gives such cells as if they were empty.
"""

from __future__ import annotations

import posixpath
import re
import xml.parsers.expat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, TypeAlias
from xml.etree import ElementTree as ET

from async_loader.errors import SourceError, one_line
from async_loader.sources.cells import Faulty
from async_loader.sources.unpacking import BROKEN_ARCHIVE

# Faulty cells by the numbers of their rows and columns, both from 0.
CellFaults: TypeAlias = Mapping[int, Mapping[int, Faulty]]

_BLOCK = 1 << 20
_BOOK, _RELATIONS, _ODS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "content.xml"
# What stands in the XML of a sheet that may have such cells.
_SUSPECT = re.compile(rb"""t=["']e["']|<(?:\w+:)?f[\s>/]|formula=""")
_PLACE = re.compile(r"([A-Z]+)([0-9]+)")
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# What the older formats say of such a cell where text is asked for.
_DETAIL = re.compile(r"Error\((\w+)\)")
_SHOWN = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
}


def faults_of(name: str, content: BinaryIO, sheet: str) -> CellFaults:
    """Return the faulty cells of a sheet. SourceError where the file cannot be read."""
    try:
        content.seek(0)
        if not zipfile.is_zipfile(content):
            return _of_older_formats(content, sheet)
        with zipfile.ZipFile(content) as archive:
            names = set(archive.namelist())
            if _BOOK in names:
                return _faults_in(archive, _path_of(archive, sheet), _Workbook())
            if _ODS in names:
                return _faults_in(archive, _ODS, _OpenDocument(sheet))
            return _of_older_formats(content, sheet)
    except (LookupError, StopIteration) as error:
        raise SourceError(name, "is no spreadsheet that can be read: its parts do not fit together") from error
    except (*BROKEN_ARCHIVE, ET.ParseError, xml.parsers.expat.ExpatError) as error:
        raise SourceError(name, f"is no spreadsheet that can be read: {one_line(error)}") from error


def _of_older_formats(content: BinaryIO, sheet: str) -> CellFaults:
    """Return the faulty cells of a sheet in xls or xlsb, whose formulas always have a value."""
    import fastexcel

    content.seek(0)
    read = fastexcel.read_excel(content.read())
    _, errors = read.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string").to_arrow_with_errors()
    found: dict[int, dict[int, Faulty]] = {}
    for each in () if errors is None else errors.errors:
        row, column = each.position
        if (error := _DETAIL.search(each.detail)) is not None:
            found.setdefault(row, {})[column] = Faulty("error_cell", _SHOWN.get(error[1], error[1]))
    return found


def _path_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return where the XML of a sheet stands in an xlsx file."""
    targets = {each.get("Id"): each.get("Target", "") for each in _root(archive, _RELATIONS)}
    path = next(
        targets[each.get(_ID)]
        for each in _root(archive, _BOOK).iter()
        if each.tag.endswith("}sheet") and each.get("name") == sheet
    )
    return posixpath.normpath(posixpath.join("/xl", path)).lstrip("/")


def _root(archive: zipfile.ZipFile, path: str) -> ET.Element:
    with archive.open(path) as file:
        return ET.parse(file).getroot()  # noqa: S314 - expat bounds what entities grow to


def _faults_in(archive: zipfile.ZipFile, path: str, finder: _Finder) -> CellFaults:
    """Return the faulty cells in the XML of a sheet, which is taken apart only where it may have some."""
    with archive.open(path) as file:
        if not any(map(_SUSPECT.search, _overlapping(file))):
            return {}
    with archive.open(path) as file:
        return finder.find(file)


def _overlapping(file: Any) -> Iterator[bytes]:
    """Yield blocks, each with the end of the one before it."""
    end = b""
    while block := file.read(_BLOCK):
        yield end + block
        end = block[-16:]


class _Finder(ABC):
    """Finds the faulty cells in XML."""

    def __init__(self) -> None:
        self.found: dict[int, dict[int, Faulty]] = {}
        self.row, self.column = -1, -1
        # The texts of the elements within a cell, and the one that is being read.
        self.texts: dict[str, str] = {}
        self.inside = ""

    def find(self, file: Any) -> CellFaults:
        """Return the faulty cells."""
        parser = xml.parsers.expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = lambda tag, attributes: self.start(tag.rpartition(":")[2], attributes)
        parser.EndElementHandler = lambda tag: self.end(tag.rpartition(":")[2])
        parser.CharacterDataHandler = self._text
        parser.ParseFile(file)
        return self.found

    def _text(self, text: str) -> None:
        if self.inside:
            self.texts[self.inside] += text

    def enter(self, tag: str) -> None:
        """Begin with an element whose text counts."""
        self.inside = tag
        self.texts.setdefault(tag, "")

    def add(self, fault: Faulty | None) -> None:
        """Take note of the fault of the cell that ends here, if it has one."""
        if fault is not None:
            self.found.setdefault(self.row, {})[self.column] = fault

    @abstractmethod
    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin with an element."""

    @abstractmethod
    def end(self, tag: str) -> None:
        """End with an element."""


class _Workbook(_Finder):
    """Of xlsx: in a cell `c` stand a formula `f` and a value `v`, or text `is`; an error has the type `e`."""

    _type = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "row":
            self.row, self.column = int(attributes.get("r", self.row + 2)) - 1, -1
        elif tag == "c":
            self.column = _column_of(attributes["r"]) if "r" in attributes else self.column + 1
            self._type, self.texts = attributes.get("t", ""), {}
        elif tag in {"f", "v", "is"}:
            self.enter(tag)

    def end(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = ""
        elif tag == "c":
            self.add(self._fault())

    def _fault(self) -> Faulty | None:
        if self._type == "e":
            return Faulty("error_cell", self.texts.get("v", ""))
        # A formula whose value is empty text says that it is text.
        has_value = "is" in self.texts or self.texts.get("v") or self._type == "str"
        return None if has_value or "f" not in self.texts else Faulty("no_value", f"={self.texts['f']}")


class _OpenDocument(_Finder):
    """Of ods: a cell says its formula and its type; rows and cells may stand for several."""

    def __init__(self, sheet: str) -> None:
        super().__init__()
        self._sheet = sheet
        self._is_wanted = False
        self._rows = self._columns = 0
        self._cell: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        plain = {name.rpartition(":")[2]: value for name, value in attributes.items()}
        if tag == "table":
            self._is_wanted, self.row, self._rows = plain.get("name") == self._sheet, -1, 1
        elif tag == "table-row":
            self.row, self._rows = self.row + self._rows, int(plain.get("number-rows-repeated", 1))
            self.column, self._columns = -1, 1
        elif tag in {"table-cell", "covered-table-cell"}:
            self.column, self._columns = self.column + self._columns, int(plain.get("number-columns-repeated", 1))
            # calcext says "error" of what office calls text.
            self._cell = plain | {"is-error": str("error" in attributes.values())}
            self.texts = {}
        elif tag == "p":
            self.enter(tag)

    def end(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = ""
        elif tag == "table-cell" and self._is_wanted:
            self.add(self._fault())

    def _fault(self) -> Faulty | None:
        formula, text = self._cell.get("formula"), self.texts.get("p", "")
        shows_error = formula is not None and self._cell.get("string-value") == "" and text.startswith(("#", "Err:"))
        if self._cell["is-error"] == "True" or shows_error:
            return Faulty("error_cell", text)
        return Faulty("no_value", formula) if formula is not None and "value-type" not in self._cell else None


def _column_of(place: str) -> int:
    """Return the number of a column from the name of a cell such as AB12."""
    found = _PLACE.match(place)
    number = 0
    for letter in found[1] if found else "A":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
