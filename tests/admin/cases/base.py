"""What the tests of the console share: the sample's databases, people with permissions, and a place for uploads."""

from __future__ import annotations

import io
import tempfile
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import TestCase, override_settings

SECTION = "/admin/async_loader_admin/job/"
ALIASES = {"default", "users", "products", "orders"}


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
        settings = override_settings(ASYNC_LOADER_UPLOADS=directory.name)
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
