"""What the console refuses: strangers on each address, forged requests, and content that is to run as a page."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from async_loader.contrib.django.admin.models import Job
from core.models import User
from tests.admin.cases.base import ANSWERS, SECTION, USERS, ConsoleTest

READ = ("", "state/")
CHANGED = ("load/", "cancel/", "again/", "revise/", "columns/")
EVIL = "<script>alert(1)</script>"


class AccessTest(ConsoleTest):
    def setUp(self) -> None:
        super().setUp()
        self.log_in("ann", "core.add_user")
        self.job = self.previewed(self.uploaded())

    def _codes(self) -> set[int]:
        got = [self.client.get(f"{SECTION}{self.job.pk}/{name}") for name in (*READ, "columns/")]
        posted = [self.client.post(f"{SECTION}{self.job.pk}/{name}", ANSWERS) for name in CHANGED]
        return {answer.status_code for answer in (*got, *posted)}

    def test_every_address_of_a_job_is_closed_to_other_people(self) -> None:
        self.log_in("ben", "core.add_user", "core.change_user")
        with self.assertLogs("async_loader.admin", "WARNING") as logs:
            assert self._codes() == {403}
        assert all("ben was refused" in line for line in logs.output)
        assert Job.objects.count() == 1

    def test_every_address_is_closed_to_its_owner_who_may_no_longer_load(self) -> None:
        self.client.logout()
        owner = self.job.owner
        other = self.log_in("ben")
        Job.objects.update(owner=str(other.pk))
        assert owner != str(other.pk)
        with self.assertLogs("async_loader.admin", "WARNING"):
            assert self._codes() == {403}

    def test_every_address_leads_a_stranger_to_the_login(self) -> None:
        self.client.logout()
        assert self._codes() == {302}
        assert self.client.post(f"{SECTION}add/").status_code == 302

    def test_the_ledger_may_look_and_do_nothing(self) -> None:
        self.log_in("eve", "core.add_user", "async_loader_admin.view_ledger")
        assert {self.client.get(f"{SECTION}{self.job.pk}/{name}").status_code for name in READ} == {200}
        with self.assertLogs("async_loader.admin", "WARNING"):
            posted = {self.client.post(f"{SECTION}{self.job.pk}/{name}").status_code for name in CHANGED}
        assert posted == {403}

    def test_an_unknown_job_is_refused_as_that_of_another_person(self) -> None:
        with self.assertLogs("async_loader.admin", "WARNING"):
            assert self.client.get(f"{SECTION}{uuid4()}/").status_code == 403

    def test_what_changes_something_is_not_done_by_a_link(self) -> None:
        codes = {self.client.get(f"{SECTION}{self.job.pk}/{name}").status_code for name in CHANGED[:-1]}
        assert codes == {405}

    def test_a_person_without_tables_uploads_nothing(self) -> None:
        self.log_in("ben", "core.view_user")
        with self.assertLogs("async_loader.admin", "WARNING"):
            assert self.client.post(f"{SECTION}add/", {"model": "core.User"}).status_code == 403

    def test_a_table_that_the_person_may_not_load_into_is_not_offered_or_taken(self) -> None:
        assert "core.Product" not in self.text(f"{SECTION}add/")
        file = SimpleUploadedFile("p.csv", b"id,name,price\n")
        answer = self.client.post(f"{SECTION}add/", {"model": "core.Product", "file": file})
        assert answer.status_code == 200
        assert Job.objects.count() == 1

    def test_a_person_who_may_only_add_cannot_ask_for_changes(self) -> None:
        self.posted(f"{SECTION}{self.job.pk}/revise/")
        draft = Job.objects.get(state="draft")
        page = self.client.get(f"{SECTION}{draft.pk}/columns/")
        seen = page.context["columns"]["seen"].value()
        chosen = {field.html_name: field.value() for field in page.context["columns"].selects}
        answers = {**ANSWERS, **chosen, "seen": seen, "existing": "update"}
        answer = self.client.post(f"{SECTION}{draft.pk}/columns/", answers)
        assert answer.status_code == 200
        assert "existing" in answer.context["rules"].errors

    def test_a_plan_that_needs_a_permission_which_is_gone_is_not_loaded(self) -> None:
        self.job.plan = self.job.plan.replace('"existing": "reject"', '"existing": "update"')
        self.job.save()
        with self.assertLogs("async_loader.admin", "WARNING"):
            assert self.client.post(f"{SECTION}{self.job.pk}/load/").status_code == 403
        assert User.objects.count() == 0


class ForgeryTest(ConsoleTest):
    def test_requests_without_a_token_do_nothing(self) -> None:
        person = self.log_in("ann", "core.add_user")
        job = self.previewed(self.uploaded())
        forged = Client(enforce_csrf_checks=True)
        forged.force_login(person)
        before = set(Path(settings.ASYNC_LOADER_UPLOADS).rglob("*"))
        file = SimpleUploadedFile("users.csv", USERS.encode())
        assert forged.post(f"{SECTION}add/", {"model": "core.User", "file": file}).status_code == 403
        for name in CHANGED:
            assert forged.post(f"{SECTION}{job.pk}/{name}", ANSWERS).status_code == 403
        after = {path for path in Path(settings.ASYNC_LOADER_UPLOADS).rglob("*") if path.is_file()}
        assert after <= before
        assert Job.objects.count() == 1


class ContentTest(ConsoleTest):
    def test_names_and_values_are_escaped_and_no_page_has_a_script_or_style_within(self) -> None:
        self.log_in("ann", "core.add_user")
        job = self.uploaded(f"id,{EVIL},email\n1,{EVIL},{EVIL}\n", f"{EVIL}.csv".replace("/", "_"))
        columns = self.text(f"{SECTION}{job.pk}/columns/")
        preview = self.previewed(job, column_1="name")
        assert preview.state == "complete"
        pages = [columns, self.text(f"{SECTION}{preview.pk}/"), self.text(f"{SECTION}add/"), self.text(SECTION)]
        assert "&lt;script&gt;alert(1)" in pages[1]
        for page in pages:
            assert "<script>alert" not in page
            assert not re.search(r"<style|\sstyle=|\son\w+=", page)
            assert not [tag for tag in re.findall(r"<script[^>]*>", page) if "src=" not in tag and "json" not in tag]
