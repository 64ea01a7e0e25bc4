"""Stored rejects in the console: seen by table, run and reason, and discarded after a question."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin.models import LogEntry

from core.models import User
from tests.admin.cases.base import SECTION, USERS, ConsoleTest

LEDGER = "async_loader_admin.view_ledger"
REJECTS = f"{SECTION}rejects/"
EVIL = "<script>alert(1)</script>"


class RejectsTest(ConsoleTest):
    def setUp(self) -> None:
        super().setUp()
        self.log_in("ann", "core.add_user")
        self.load = self.loaded(self.previewed(self.uploaded(f"{USERS}4,{EVIL},none\n", "mine.csv")))

    def test_rejects_are_listed_by_table_run_and_reason(self) -> None:
        self.log_in("eve", "core.view_user", LEDGER)
        page = self.text(REJECTS)
        assert "mine.csv" in page
        assert "name.not_blank" in page
        assert str(settings.ASYNC_LOADER_UPLOADS) not in page
        assert REJECTS in self.text(SECTION)
        page = self.text(REJECTS, table="users", run=self.load.run)
        assert "name must not be empty" in page
        assert "&lt;script&gt;" in page
        assert EVIL not in page
        page = self.text(REJECTS, table="users", reason="email.contains")
        assert "name must not be empty" not in page
        assert "email must contain" in page
        assert "Discard" not in page

    def test_rejects_are_discarded_after_a_question(self) -> None:
        eve = self.log_in("eve", "core.change_user", LEDGER)
        wanted = {"table": "users", "reason": "email.contains"}
        assert "Discard" in self.text(REJECTS, **wanted)
        page = self.client.post(f"{REJECTS}discard/", wanted).content.decode()
        assert "1 reject of users is discarded" in page
        assert "email must contain" in self.text(REJECTS, table="users")
        self.assertRedirects(self.client.post(f"{REJECTS}discard/", wanted | {"confirmed": "1"}), REJECTS)
        page = self.text(REJECTS, table="users")
        assert "email must contain" not in page
        assert "name must not be empty" in page
        entry = LogEntry.objects.filter(user=eve).get()
        assert (entry.object_repr, entry.change_message) == ("1 reject: core.User", "Discarded.")

    def test_rejects_are_downloaded_mended_and_loaded(self) -> None:
        self.log_in("eve", "core.add_user", LEDGER)
        wanted = urlencode({"table": "users", "reason": "name.not_blank"})
        assert f"{REJECTS}download/?{wanted.replace('&', '&amp;')}" in self.text(f"{REJECTS}?{wanted}")
        answer = self.client.get(f"{REJECTS}download/?{wanted}")
        assert answer["Content-Disposition"] == 'attachment; filename="users-rejects.csv"'
        assert answer["X-Content-Type-Options"] == "nosniff"
        content = answer.getvalue().decode()
        assert "ben@example.com" in content
        assert EVIL not in content
        load = self.loaded(self.previewed(self.uploaded(content.replace("2,,", "2,Ben,"), "mended.csv")))
        assert (load.state, load.error) == ("complete", "")
        assert User.objects.get(id=2).name == "Ben"
        assert "ben@example.com" not in self.text(REJECTS, table="users")

    def test_rejects_are_closed_to_other_people(self) -> None:
        wanted = {"table": "users"}
        for person, permissions in {"ben": ["core.change_user"], "eve": ["core.change_product", LEDGER]}.items():
            self.log_in(person, *permissions)
            with self.assertLogs("async_loader.admin", "WARNING"):
                assert self.client.get(f"{REJECTS}?{urlencode(wanted)}").status_code == 403
                assert self.client.get(f"{REJECTS}download/?{urlencode(wanted)}").status_code == 403
                assert self.client.post(f"{REJECTS}discard/", wanted | {"confirmed": "1"}).status_code == 403
        self.log_in("may", "core.view_user", LEDGER)
        assert self.client.get(f"{REJECTS}discard/").status_code == 405
        with self.assertLogs("async_loader.admin", "WARNING"):
            assert self.client.post(f"{REJECTS}discard/", wanted | {"confirmed": "1"}).status_code == 403
        assert "name must not be empty" in self.text(REJECTS, **wanted)

    def test_an_unknown_run_is_a_line_in_the_page(self) -> None:
        self.log_in("eve", "core.view_user", LEDGER)
        assert "errornote" in self.text(REJECTS, table="users", run="nowhere")
