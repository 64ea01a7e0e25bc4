"""What the tests of the console share: the sample's databases, people with permissions, and a place for uploads."""

from __future__ import annotations

import io
import tempfile
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import TestCase, override_settings

from async_loader.contrib.django.admin.models import Job

FOUND = 302
SECTION = "/admin/async_loader_admin/job/"
ALIASES = {"default", "users", "products", "orders"}


# Answers for a file with primary keys, by which no row is changed.
ANSWERS = {
    "encoding": "utf-8",
    "delimiter": ",",
    "skip_lines": "0",
    "decimal": ".",
    "finding": "key",
    "existing": "reject",
    "missing": "insert",
}
USERS = "id,name,email\n1,Ann,ann@example.com\n2,,ben@example.com\n3,Cleo,cleo@example.com\n"


def carry_out(job: str) -> None:
    """Carry a job out in this process, as a process of its own would: it sees the databases of the test."""
    call_command("run_job", job, stdout=io.StringIO(), stderr=io.StringIO())


def leave(_: str) -> None:
    """Start nothing: the job waits."""


class ConsoleTest(TestCase):
    """A test with empty databases and uploads."""

    databases = ALIASES

    @classmethod
    def setUpTestData(cls) -> None:
        """Make the tables of the sample."""
        call_command("init_db", stdout=io.StringIO())

    def setUp(self) -> None:
        """Give the test a directory for uploads."""
        directory = tempfile.TemporaryDirectory(prefix="uploads")
        self.addCleanup(directory.cleanup)
        settings = override_settings(
            ASYNC_LOADER_UPLOADS=directory.name, ASYNC_LOADER_START_JOB="tests.admin.cases.base.carry_out"
        )
        settings.enable()
        self.addCleanup(settings.disable)

    def log_in(self, name: str, *permissions: str) -> User:
        """Make a person of the staff with these permissions (`core.add_user`), and log in as that person."""
        person = User.objects.create_user(name, is_staff=True)
        for permission in permissions:
            app, _, codename = permission.partition(".")
            person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        self.client.force_login(person)
        return person

    def text(self, address: str, **data: Any) -> str:
        """Return the page at an address, which must be there."""
        answer = self.client.get(address, data)
        assert answer.status_code == 200
        return answer.content.decode()

    def posted(self, address: str, **data: Any) -> Any:
        """Return the answer to a POST, after what the view does on commit."""
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(address, data)

    def uploaded(self, content: str | bytes = USERS, name: str = "users.csv", model: str = "core.User") -> Job:
        """Upload a file, and return its job, which is a draft."""
        file = SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)
        answer = self.posted(f"{SECTION}add/", model=model, file=file)
        self.assertEqual(answer.status_code, 302, answer.content.decode())  # noqa: PT009
        job = Job.objects.get(state=Job.State.DRAFT)
        self.assertRedirects(answer, f"{SECTION}{job.pk}/columns/", fetch_redirect_response=False)
        return job

    def proposed(self, job: Job) -> dict[str, Any]:
        """Return the answers that the page of a draft proposes."""
        context = self.client.get(f"{SECTION}{job.pk}/columns/").context
        fields = [field for name in ("reading", "columns", "rules") for field in context[name]]
        values = {field.html_name: field.value() for field in fields}
        return {name: value for name, value in values.items() if value is not None and value is not False}

    def previewed(self, job: Job, **answers: Any) -> Job:
        """Say how a file is loaded, as the page proposes but for these answers; the job after its preview."""
        address = f"{SECTION}{job.pk}/columns/"
        answer = self.posted(address, **self.proposed(job) | {"preview": "1"} | answers)
        if answer.status_code != FOUND:
            raise AssertionError([answer.context[name].errors for name in ("reading", "columns", "rules")])
        self.assertRedirects(answer, f"{SECTION}{job.pk}/", fetch_redirect_response=False)
        job.refresh_from_db()
        return job

    def loaded(self, preview: Job) -> Job:
        """Confirm a preview, and return its load."""
        self.posted(f"{SECTION}{preview.pk}/load/")
        return Job.objects.get(preview=preview)
