"""The forms of the console: a file for a table, how it is read, where its columns go, what becomes of its records."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.db.models import Model
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from async_loader import ConfigurationError
from async_loader.contrib.django.admin.plans import APPEND, BY_KEY, BY_MATCH, Plan, kind_of
from async_loader.contrib.django.admin.settings import upload_limit
from async_loader.contrib.django.admin.targets import Target

_ENCODINGS = ("utf-8", "cp1252", "cp1250", "iso-8859-15", "utf-16", "cp437", "mac-roman")
_DELIMITERS = [(",", _("comma")), (";", _("semicolon")), ("\t", _("tab")), ("|", _("vertical bar"))]
_DECIMALS = [(".", _("point, as in 1.5")), (",", _("comma, as in 1,5"))]
_THOUSANDS = [
    ("", _("none")),
    (",", _("comma, as in 1,000")),
    (".", _("point, as in 1.000")),
    (" ", _("blank")),
    ("'", _("apostrophe")),
]
_DATES = [
    ("", _("2026-12-31, or as the file shows")),
    ("%d.%m.%Y", "31.12.2026"),
    ("%d/%m/%Y", "31/12/2026"),
    ("%m/%d/%Y", "12/31/2026"),
    ("%d.%m.%y", "31.12.26"),
    ("%Y%m%d", "20261231"),
]
_MEBIBYTE = 1 << 20
_MOST_LINES = 1_000


class UploadForm(forms.Form):
    """A table, and a file for it."""

    model = forms.ChoiceField(label=_("Table"))
    file = forms.FileField(label=_("File"), max_length=255)

    def __init__(self, models: Sequence[type[Model]], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        named = sorted((str(capfirst(model._meta.verbose_name_plural)), model._meta.label) for model in models)
        field: Any = self.fields["model"]
        field.choices = [(label, f"{words} ({label})") for words, label in named]
        limit = f"{upload_limit() / _MEBIBYTE:,.0f}"
        kinds = gettext("CSV, JSON, JSON Lines, Parquet, Arrow, or a spreadsheet")
        self.fields["file"].help_text = gettext("%(kinds)s; at most %(limit)s MiB.") % {"kinds": kinds, "limit": limit}

    def clean_file(self) -> Any:
        """Refuse a file whose name does not say a format that the loader reads."""
        file = self.cleaned_data["file"]
        try:
            kind_of(file.name.replace("#", "_"))
        except ConfigurationError as error:
            raise forms.ValidationError(
                gettext("The end of the file's name, such as .csv or .xlsx, has to say what kind of file it is.")
            ) from error
        return file


class ReadingForm(forms.Form):
    """How a file is read."""

    part = forms.CharField(label=_("Sheet, or array of the document"), required=False, max_length=200)
    encoding = forms.ChoiceField(label=_("Encoding"), required=False)
    delimiter = forms.ChoiceField(label=_("Between columns stands a"), choices=_DELIMITERS)
    skip_lines = forms.IntegerField(label=_("Lines before the header"), min_value=0, max_value=_MOST_LINES)
    decimal = forms.ChoiceField(label=_("Decimal mark"), choices=_DECIMALS)
    thousands = forms.ChoiceField(label=_("Mark between thousands"), choices=_THOUSANDS, required=False)
    date_format = forms.ChoiceField(label=_("Dates are written"), choices=_DATES, required=False)
    null = forms.CharField(label=_("Text for no value, such as NULL"), required=False, max_length=50)
    trim = forms.BooleanField(label=_("Take away blanks around values"), required=False)

    def __init__(self, kind: str, plan: Plan, data: Any = None) -> None:
        names = ("part", "encoding", "delimiter", "skip_lines", "decimal", "thousands", "date_format", "null", "trim")
        initial = {name: getattr(plan, name) for name in names}
        super().__init__(data, initial=initial | {"encoding": plan.encoding or "utf-8"})
        self._plan = plan
        field: Any = self.fields["encoding"]
        field.choices = [(name, name) for name in dict.fromkeys([*_ENCODINGS, *filter(None, [plan.encoding])])]
        for name, known in (("delimiter", _DELIMITERS), ("decimal", _DECIMALS), ("thousands", _THOUSANDS)):
            value, several = getattr(plan, name), self.fields[name]
            if value not in [mark for mark, _words in known]:
                # The file has shown a mark that is seldom.
                several.choices = [*known, (value, value)]  # type: ignore[attr-defined]
        for name in _unfitting(kind):
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """Refuse options that the loader refuses together."""
        given = super().clean() or {}
        if given.get("decimal") and given.get("decimal") == given.get("thousands"):
            raise forms.ValidationError(gettext("Decimals and thousands need marks that differ."))
        return given

    def plan(self) -> Plan:
        """Return the plan with what is said here."""
        return replace(self._plan, **{name: self.cleaned_data[name] for name in self.fields})


def _unfitting(kind: str) -> tuple[str, ...]:
    """Return the fields of `ReadingForm` that say nothing about a kind of file."""
    if kind == "csv":
        return ("part",)
    if kind in ("xlsx", "xlsm", "xlsb", "xls", "ods"):
        return ("delimiter", "encoding")
    of_csv = ("delimiter", "skip_lines")
    if kind in ("json", "jsonl", "ndjson"):
        return (*of_csv, *(() if kind == "json" else ("part",)))
    return (*of_csv, "encoding", "part")


class RulesForm(forms.Form):
    """What becomes of the records, in words. A person is offered what their permissions allow, and nothing else."""

    finding = forms.ChoiceField(label=_("A record finds its row"), widget=forms.RadioSelect)
    match = forms.MultipleChoiceField(
        label=_("These columns"), required=False, widget=forms.CheckboxSelectMultiple, choices=()
    )
    existing = forms.ChoiceField(label=_("If the row is there with other values"), widget=forms.RadioSelect)
    missing = forms.ChoiceField(label=_("If there is no such row"), widget=forms.RadioSelect)

    def __init__(
        self, plan: Plan, columns: Sequence[tuple[str, str]], may: tuple[bool, bool], data: Any = None
    ) -> None:
        """Offer the columns to match by. may: whether the person may add rows, and change them."""
        adds, changes = may
        rows = [(BY_KEY, _("by its primary key")), (BY_MATCH, _("by the values of the columns that are chosen below"))]
        if adds:
            rows.append((APPEND, _("never: each record is a new row")))
        existing = [("reject", _("leave the row as it is, and list the record as rejected"))]
        if changes:
            existing.append(("update", _("change the row")))
        missing = [("reject", _("list the record as rejected"))]
        if adds:
            missing.insert(0, ("insert", _("add a new row")))
        choices = {"finding": rows, "existing": existing, "missing": missing, "match": columns}
        initial = {"finding": plan.finding, "match": plan.match, "existing": plan.existing}
        missing_names = [name for name, _words in missing]
        initial["missing"] = plan.missing if plan.missing in missing_names else missing_names[0]
        super().__init__(data, initial=initial)
        for name, several in choices.items():
            field: Any = self.fields[name]
            field.choices = several

    def clean(self) -> dict[str, Any]:
        """Refuse a match by no columns."""
        given = super().clean() or {}
        if given.get("finding") == BY_MATCH and not given.get("match"):
            self.add_error("match", gettext("Choose at least one column."))
        return given

    def added_to(self, plan: Plan) -> Plan:
        """Return a plan with what is said here."""
        given = self.cleaned_data
        match = tuple(given["match"]) if given["finding"] == BY_MATCH else ()
        return replace(
            plan, finding=given["finding"], match=match, existing=given["existing"], missing=given["missing"]
        )


class ColumnsForm(forms.Form):
    """Where the columns of a file go: for each, one of the targets, or nothing.

    seen: a mark of the names that the person has seen, so that what is chosen for one is not taken for another.
    """

    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(
        self, header: Sequence[str], chosen: Sequence[str], targets: Sequence[Target], data: Any = None
    ) -> None:
        super().__init__(data, initial={"seen": _mark(header)})
        self._header = tuple(header)
        choices = [("", _("ignore")), *((target.name, target.label) for target in targets)]
        for place, (name, target) in enumerate(zip(header, chosen, strict=True)):
            self.fields[f"column_{place}"] = forms.ChoiceField(
                label=name, choices=choices, initial=target, required=False
            )

    def clean_seen(self) -> str:
        """Refuse choices that were made for other columns."""
        seen = str(self.cleaned_data["seen"])
        if seen != _mark(self._header):
            raise forms.ValidationError(gettext("The file has other columns under these settings: look at them again."))
        return seen

    def clean(self) -> dict[str, Any]:
        """Refuse a column of the table that is chosen twice, and a file of which nothing is loaded."""
        given = super().clean() or {}
        chosen = Counter(each for name, each in given.items() if name.startswith("column_") and each)
        if twice := [name for name, count in chosen.items() if count > 1]:
            message = ngettext("%(names)s is chosen twice.", "%(names)s are chosen twice.", len(twice))
            raise forms.ValidationError(message % {"names": ", ".join(twice)})
        if self._header and not chosen:
            raise forms.ValidationError(gettext("No column of the file is loaded."))
        return given

    def columns(self) -> dict[str, str]:
        """Return by name in the file the target; empty for a column that is ignored."""
        return {name: self.cleaned_data[f"column_{place}"] for place, name in enumerate(self._header)}

    @property
    def selects(self) -> list[Any]:
        """The bound fields of the columns, in their order."""
        return [self[f"column_{place}"] for place in range(len(self._header))]


def _mark(header: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(header)).encode()).hexdigest()[:16]
