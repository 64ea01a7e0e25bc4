"""The views of stored rejects: those of all databases, by table, run and reason, and discarding them.

They are for people with the permission for the ledger. A table's rejects are shown to a person that may see the table,
and discarded by one that may change its rows.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import async_loader
from async_loader import ConfigurationError, LoaderError, RejectFilter, RejectingRun, StoredReject, StoredRejects
from async_loader.contrib.django.admin.common import Views, posted
from async_loader.contrib.django.admin.models import Upload
from async_loader.contrib.django.admin.people import Person
from async_loader.contrib.django.admin.plans import kind_of
from async_loader.contrib.django.admin.settings import uploads
from async_loader.contrib.django.pages.pages import rejects_part
from async_loader.contrib.django.pages.values import Rejects, as_text, listed_reject, shares_of

# Rejects that a page lists, and seconds that it waits for a locked database.
_LISTED = 100
# Rejects that a page may wait for to be written into a file.
_DOWNLOADED = 100_000
# The parts of what is chosen, as addresses call them.
_CHOICE = ("table", "run", "reason")
_LOCK_TIMEOUT = 5.0


class Rejecting(Views):
    """Looking at stored rejects, and discarding them."""

    def rejects_view(self, request: HttpRequest) -> HttpResponse:
        """Show what is stored of the rejects of all loads, and the first of those that are chosen."""
        models = self._tables_of(request)
        wanted = _wanted(request.GET)
        person = self.person(request)
        if wanted.table is not None and wanted.table not in models:
            raise person.refuse("the table's rejects may not be seen")
        try:
            stored = _stored(models)
            runs = stored.overview()
            listing = "" if wanted.table is None else _listing(stored, wanted, runs)
        except LoaderError as error:
            return self._rejects(request, problem=error.text)
        return self._rejects(
            request,
            lines=list(_lines(runs, models)),
            # Every text in it is escaped by the template of the listing.
            listing=mark_safe(listing),  # noqa: S308
            wanted=wanted,
            query=urlencode({name: value for name in _CHOICE if (value := getattr(wanted, name))}),
            may_discard=wanted.table is not None and person.may("change", models[wanted.table]),
        )

    def download_view(self, request: HttpRequest) -> HttpResponse | FileResponse:
        """Give the rejects that are chosen as a file, to be mended and uploaded."""
        models, wanted, person = self._tables_of(request), _wanted(request.GET), self.person(request)
        if wanted.table is None or wanted.table not in models:
            raise person.refuse("the table's rejects may not be seen")
        try:
            stored = _stored(models)
            if sum(stored.count(wanted).values()) > _DOWNLOADED:
                problem = _("These are more than %(number)d rejects: choose those of one reason or run.")
                return self._rejects(request, problem=problem % {"number": _DOWNLOADED})
            answer = _download(stored, wanted)
        except LoaderError as error:
            return self._rejects(request, problem=error.text)
        return answer or HttpResponseRedirect(self.address("rejects"))

    @posted
    def discard_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether rejects are to be discarded, and discard them once the answer is yes."""
        models, wanted, person = self._tables_of(request), _wanted(request.POST), self.person(request)
        model = models.get(wanted.table or "")
        if model is None or not person.may("change", model):
            raise person.refuse("the table's rejects may not be discarded")
        try:
            if "confirmed" not in request.POST:
                count = sum(_stored(models).count(wanted).values())
                return self.rendered(request, "discard.html", _("Discard rejects"), wanted=wanted, count=count)
            discarded = _stored(models).discard(wanted, lambda _counts: True)
        except LoaderError as error:
            return self._rejects(request, problem=error.text)
        self._log(request, model, discarded or 0)
        return HttpResponseRedirect(self.address("rejects"))

    def _rejects(self, request: HttpRequest, **parts: Any) -> HttpResponse:
        return self.rendered(request, "rejects.html", _("Rejects"), **parts)

    def _tables_of(self, request: HttpRequest) -> dict[str, type[Model]]:
        """Return the models whose rejects the person may see, by table."""
        person: Person = self.person(request)
        if not person.sees_ledger:
            raise person.refuse("rejects are for people with the permission for the ledger")
        return {model._meta.db_table: model for model in person.seen_models()}

    def _log(self, request: HttpRequest, model: type[Model], count: int) -> None:
        words = ngettext("%(number)d reject", "%(number)d rejects", count) % {"number": count}
        LogEntry.objects.create(
            user_id=self.person(request).key,
            content_type_id=ContentType.objects.get_for_model(model).pk,
            object_repr=f"{words}: {model._meta.label}",
            action_flag=DELETION,
            change_message=_("Discarded."),
        )


def _wanted(given: Any) -> RejectFilter:
    return RejectFilter(given.get("table") or None, given.get("run") or None, given.get("reason") or None)


def _download(stored: StoredRejects, wanted: RejectFilter) -> FileResponse | None:
    """Return the rejects as a file of the kind that their source was; None where there are none."""
    suffix = _suffix(stored, wanted)
    with tempfile.TemporaryDirectory(prefix="rejects-") as directory:
        path = Path(directory) / f"rejects{suffix}"
        if stored.export(wanted, path) is None:
            return None
        # The open file is there until it is sent.
        file = path.open("rb")
    # No browser takes it for a page.
    answer = FileResponse(
        file,
        as_attachment=True,
        filename=f"{wanted.table}-rejects{suffix}",
        content_type="application/octet-stream",
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cache-Control"] = "no-store"
    return answer


def _suffix(stored: StoredRejects, wanted: RejectFilter) -> str:
    """Return the suffix of the source of the first reject; that of CSV where it says no kind of file."""
    sources: list[str] = []

    def take(several: Sequence[StoredReject]) -> bool:
        sources.extend(each.reject.source for each in several[:1])
        return False

    stored.each(wanted, take)
    try:
        return f".{kind_of(sources[0].partition('#')[0])}" if sources else ".csv"
    except ConfigurationError:
        return ".csv"


def _stored(models: Iterable[str]) -> StoredRejects:
    """Return the rejects of these tables. Raises LoaderError."""
    from async_loader.contrib.django.models.tables import ProjectTables, databases_of

    tables = ProjectTables().tables(models)
    return async_loader.StoredRejects(tables, databases_of(tables), lock_timeout=_LOCK_TIMEOUT)


def _lines(runs: Sequence[RejectingRun], models: Collection[str]) -> Iterable[dict[str, Any]]:
    """Yield a line for each table of each run that has stored rejects, the newest run first."""
    for run in reversed(runs):
        for table in run.tables:
            if table.table in models and table.stored:
                chosen = {"table": table.table, "run": run.run}
                reasons = [
                    (reason, count, urlencode(chosen | {"reason": reason})) for reason, count in table.reasons.items()
                ]
                yield {
                    "run": run,
                    "table": table,
                    "query": urlencode(chosen),
                    "sources": [_shown_name(source) for source in table.sources],
                    "reasons": reasons,
                }


def _listing(stored: StoredRejects, wanted: RejectFilter, runs: Sequence[RejectingRun]) -> str:
    """Return the first of the rejects that are chosen, and how often each reason occurs in their table and run."""
    total = sum(stored.count(wanted).values())
    first: list[StoredReject] = []

    def take(several: Sequence[StoredReject]) -> bool:
        first.extend(several[: _LISTED - len(first)])
        return len(first) < _LISTED

    if total:
        stored.each(wanted, take)
    reasons = Counter[str]()
    for run in runs:
        for table in run.tables:
            if table.table == wanted.table and wanted.run in (None, run.run):
                reasons.update(table.reasons)
    chosen = {name: count for name, count in reasons.most_common() if wanted.reason in (None, name)}
    listed = [listed_reject(replace(each.reject, source=_shown_name(each.reject.source))) for each in first]
    return rejects_part(
        Rejects(
            anchor="rejects",
            table=as_text(wanted.table),
            rejected=total,
            shares=shares_of(chosen, total),
            listed=tuple(listed),
            more=total - len(listed),
            kept_in=None,
        )
    )


def _shown_name(source: str) -> str:
    """Return the name of a source as its person has called the file; its own where it was not uploaded."""
    path = Path(source.partition("#")[0])
    if path.parent != uploads().absolute():
        return source
    upload = Upload.objects.filter(stored=path.name).first()
    return upload.name if upload is not None else path.name
