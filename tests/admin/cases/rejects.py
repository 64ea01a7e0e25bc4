"""Stored rejects in the console: seen by table, run and reason, and discarded after a question."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin.models import LogEntry

from core.models import Product, User
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

    def rejected_products(self, encoding: str = "cp1252") -> tuple[str, str]:
        """Return the file of the rejects of a load with names and marks of its own, as downloaded; and the run."""
        self.log_in("kim", "core.add_product", LEDGER)
        content = "Nr;Ding;Kosten\n1;Säge;1.012,50\n2;Öl;k.A.\n3;Möhre;gratis\n".encode(encoding)
        job = self.uploaded(content, "p.csv", "core.Product")
        answers = {"column_0": "id", "column_1": "name", "column_2": "price", "encoding": encoding}
        load = self.loaded(self.previewed(job, decimal=",", thousands=".", null="k.A.", **answers))
        answer = self.client.get(f"{REJECTS}download/?table=products")
        return answer.getvalue().decode(encoding), load.run

    def test_a_file_of_rejects_is_read_as_its_run_read_its_file(self) -> None:
        text, run = self.rejected_products()
        content = text.replace("gratis", "2.000,25").replace("k.A.", "3,5")
        job = self.uploaded(content.encode("cp1252"), "mended.csv", "core.Product")
        page = self.client.get(f"{SECTION}{job.pk}/columns/")
        assert f"a file of rejects of run {run}" in page.content.decode()
        assert [field.label for field in page.context["columns"].selects] == ["Nr", "Ding", "Kosten"]
        answers = self.proposed(job)
        assert [answers[f"column_{place}"] for place in range(3)] == ["id", "name", "price"]
        assert [answers[name] for name in ("encoding", "decimal", "thousands", "null")] == ["cp1252", ",", ".", "k.A."]
        load = self.loaded(self.previewed(job))
        assert (load.state, load.error) == ("complete", "")
        prices = [(1, "Säge", 1012.5), (2, "Öl", 3.5), (3, "Möhre", 2000.25)]
        assert list(Product.objects.order_by("id").values_list("id", "name", "price")) == prices
        assert "gratis" not in self.text(REJECTS, table="products")

    def test_a_file_of_rejects_of_json_is_read_as_its_run_read_its_file(self) -> None:
        self.log_in("kim", "core.add_product", LEDGER)
        content = '{"Nr": 1, "Ding": "Öl", "Kosten": "1,5x"}\n'.encode("cp1252")
        job = self.uploaded(content, "p.jsonl", "core.Product")
        answers = {"column_0": "id", "column_1": "name", "column_2": "price", "encoding": "cp1252"}
        self.loaded(self.previewed(job, decimal=",", **answers))
        text = self.client.get(f"{REJECTS}download/?table=products").getvalue().decode("cp1252")
        job = self.uploaded(text.replace("1,5x", "1,5").encode(), "mended.jsonl", "core.Product")
        load = self.loaded(self.previewed(job))
        assert (load.state, load.error) == ("complete", "")
        assert list(Product.objects.values_list("id", "name", "price")) == [(1, "Öl", 1.5)]

    def test_what_a_person_says_of_a_file_of_rejects_is_how_it_is_read(self) -> None:
        text, _run = self.rejected_products()
        content = text.replace("gratis", "2000.25").replace("k.A.", "3.5")
        job = self.uploaded(content.encode(), "mended.csv", "core.Product")
        assert self.proposed(job)["encoding"] == "utf-8"
        self.loaded(self.previewed(job, decimal=".", thousands=""))
        assert list(Product.objects.order_by("id").values_list("name", "price"))[1:] == [
            ("Öl", 3.5),
            ("Möhre", 2000.25),
        ]

    def test_a_file_of_rejects_that_has_lost_letters_is_said_to_have(self) -> None:
        text, _run = self.rejected_products()
        job = self.uploaded(text.replace("ö", "\ufffd").encode(), "mended.csv", "core.Product")
        assert "U+FFFD" in self.text(f"{SECTION}{job.pk}/columns/")

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
