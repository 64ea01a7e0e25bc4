"""The section and the loads that people see, by their permissions."""

from __future__ import annotations

import io
from typing import Any

from django.contrib.admin import AdminSite
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from async_loader.contrib.django.admin.models import Job, Upload
from async_loader.contrib.django.admin.sites import register
from tests.admin.cases.base import SECTION, ConsoleTest


def job_of(person: Any, model: str = "core.User", name: str = "users.csv") -> Job:
    upload = Upload.objects.create(name=name, size=1, digest="0", owner=str(person.pk), owner_name=str(person))
    return Job.objects.create(upload=upload, model=model, owner=str(person.pk), owner_name=str(person))


class SectionTest(ConsoleTest):
    def test_a_person_who_may_add_to_a_table_sees_the_section(self) -> None:
        self.log_in("ann", "core.add_user")
        assert SECTION in self.text("/admin/")
        assert self.client.get(SECTION).status_code == 200

    def test_a_person_who_may_only_view_tables_sees_none(self) -> None:
        self.log_in("ben", "core.view_user", "core.delete_user")
        assert SECTION not in self.text("/admin/")
        assert self.client.get(SECTION).status_code == 403

    def test_a_person_outside_the_staff_is_led_to_the_login(self) -> None:
        self.assertRedirects(self.client.get(SECTION), f"/admin/login/?next={SECTION}")

    def test_a_person_sees_their_own_jobs_alone(self) -> None:
        job_of(self.log_in("ann", "core.add_user"), name="of-ann.csv")
        job_of(self.log_in("ben", "core.add_user"), name="of-ben.csv")
        page = self.text(SECTION)
        assert "of-ben.csv" in page
        assert "of-ann.csv" not in page

    def test_the_ledger_is_of_all_people_but_of_tables_that_the_person_may_see(self) -> None:
        ann = self.log_in("ann", "core.add_user")
        job_of(ann, name="users.csv")
        job_of(ann, "core.Order", "orders.csv")
        self.log_in("ben", "core.view_user", "async_loader_admin.view_ledger")
        page = self.text(SECTION)
        assert "users.csv" in page
        assert "orders.csv" not in page

    def test_jobs_of_a_table_that_the_person_may_no_longer_see_are_not_shown(self) -> None:
        ann = self.log_in("ann", "core.add_user")
        job_of(ann, "core.Order", "orders.csv")
        assert "orders.csv" not in self.text(SECTION)

    def test_the_list_of_a_model_leads_to_the_console(self) -> None:
        self.log_in("ann", "core.change_user", "core.view_product")
        address = f"{SECTION}add/?model=core.User"
        assert f'href="{address}"' in self.text("/admin/core/user/")
        assert '<option value="core.User" selected>' in self.text(address)
        assert "Load from file" not in self.text("/admin/core/product/")

    def test_names_of_files_are_escaped(self) -> None:
        job_of(self.log_in("ann", "core.add_user"), name="<b>bad.csv")
        page = self.text(SECTION)
        assert "&lt;b&gt;bad.csv" in page
        assert "<b>bad.csv" not in page


class ProjectTest(ConsoleTest):
    def test_the_migrations_are_those_of_the_models(self) -> None:
        call_command("makemigrations", "async_loader_admin", check=True, dry_run=True, stdout=io.StringIO())

    def test_another_site_gets_the_section_once(self) -> None:
        site = AdminSite("partners")
        register(site)
        register(site)
        assert site.is_registered(Job)

    def test_the_settings_are_checked(self) -> None:
        with self.settings(ASYNC_LOADER_UPLOADS="/srv/media/uploads", MEDIA_ROOT="/srv/media"):
            assert "async_loader.E008" in self._errors()
        with self.settings(ASYNC_LOADER_UPLOADS=None):
            assert "async_loader.E007" in self._errors()
        assert self._errors() == ""

    def _errors(self) -> str:
        try:
            call_command("check", tags=["async_loader"], stdout=io.StringIO(), stderr=io.StringIO())
        except SystemCheckError as error:
            return str(error)
        return ""
