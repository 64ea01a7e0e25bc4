"""The way of a file: uploaded, looked at, previewed, loaded."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import xlsxwriter
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile

from async_loader.contrib.django.admin.models import Job, Upload
from core.models import Order, Product, User
from tests.admin.cases.base import ANSWERS, SECTION, USERS, ConsoleTest

# What a person in Germany saves from a spreadsheet.
PRODUCTS = "Nr;Bezeichnung;Wie teuer;Lager\r\n1;Säge;12,50;A\r\n2;Öl;gratis;B\r\n".encode("cp1252")


class WayTest(ConsoleTest):
    def setUp(self) -> None:
        super().setUp()
        self.log_in("ann", "core.add_user", "core.add_product", "core.change_product", "core.add_order")

    def test_a_file_is_previewed_and_then_loaded(self) -> None:
        preview = self.previewed(self.uploaded())
        assert (preview.state, preview.error) == ("complete", "")
        assert User.objects.count() == 0
        page = self.text(f"{SECTION}{preview.pk}/")
        assert "2 records can be loaded" in page
        assert "name must not be empty" in page
        load = self.loaded(preview)
        assert (load.state, load.kind, load.error) == ("complete", "load", "")
        assert list(User.objects.order_by("id").values_list("id", "name")) == [(1, "Ann"), (3, "Cleo")]
        page = self.text(f"{SECTION}{load.pk}/")
        assert "name must not be empty" in page
        # The private path is for the server alone.
        assert str(settings.ASYNC_LOADER_UPLOADS) not in page

    def test_a_second_click_leads_to_the_load_of_the_first(self) -> None:
        preview = self.previewed(self.uploaded())
        load = self.loaded(preview)
        answer = self.posted(f"{SECTION}{preview.pk}/load/")
        assert answer.status_code in (302, 403)
        assert Job.objects.filter(kind="load").get() == load

    def test_who_loaded_what_is_in_the_log_of_the_admin(self) -> None:
        load = self.loaded(self.previewed(self.uploaded()))
        entry = LogEntry.objects.get()
        assert (entry.user.get_username(), entry.object_id) == ("ann", str(load.pk))
        assert "users.csv" in entry.get_change_message()
        assert load.owner_name == "ann"

    def test_a_file_of_another_country_is_read_as_proposed_and_corrected(self) -> None:
        job = self.uploaded(PRODUCTS, "Preise.CSV", "core.Product")
        page = self.client.get(f"{SECTION}{job.pk}/columns/")
        assert "Säge" in page.content.decode()
        assert [field.label for field in page.context["columns"].selects] == ["Nr", "Bezeichnung", "Wie teuer", "Lager"]
        answers = self.proposed(job)
        assert [answers[name] for name in ("encoding", "delimiter")] == ["cp1252", ";"]
        assert [answers[f"column_{place}"] for place in range(4)] == ["id", "name", "", ""]
        load = self.loaded(self.previewed(job, column_2="price", decimal=","))
        assert (load.state, load.error) == ("complete", "")
        assert list(Product.objects.values_list("id", "name", "price")) == [(1, "Säge", 12.5)]
        assert "price" in self.text(f"{SECTION}{load.pk}/")

    def test_look_again_keeps_the_settings_and_loads_nothing(self) -> None:
        job = self.uploaded(PRODUCTS, "p.csv", "core.Product")
        answers = {"skip_lines": "1", "encoding": "cp1252", "delimiter": ";", "decimal": ".", "look": "1"}
        address = f"{SECTION}{job.pk}/columns/"
        self.assertRedirects(self.posted(address, **answers), address, fetch_redirect_response=False)
        labels = [field.label for field in self.client.get(address).context["columns"].selects]
        assert labels == ["1", "Säge", "12,50", "A"]
        job.refresh_from_db()
        assert job.state == "draft"

    def test_answers_for_other_columns_than_those_seen_are_refused(self) -> None:
        job = self.uploaded()
        page = self.client.post(f"{SECTION}{job.pk}/columns/", {**ANSWERS, "seen": "old"})
        assert "The file has other columns" in page.content.decode()

    def test_a_column_that_is_chosen_twice_is_refused(self) -> None:
        job = self.uploaded()
        seen = self.client.get(f"{SECTION}{job.pk}/columns/").context["columns"]["seen"].value()
        columns = {"column_0": "id", "column_1": "name", "column_2": "name"}
        answers = {"encoding": "utf-8", "delimiter": ",", "skip_lines": "0", "decimal": ".", "seen": seen, **columns}
        page = self.client.post(f"{SECTION}{job.pk}/columns/", answers)
        assert "name is chosen twice" in page.content.decode()

    def test_rows_are_changed_by_a_person_who_may_change_them(self) -> None:
        Product.objects.create(id=1, name="Saw", price=1)
        job = self.uploaded("id,name,price\n1,Saw,2\n", "p.csv", "core.Product")
        self.loaded(self.previewed(job, existing="update"))
        assert Product.objects.get().price == 2

    def test_records_find_their_rows_by_columns_and_get_keys(self) -> None:
        Product.objects.create(id=1, name="Saw", price=1)
        job = self.uploaded("name,price\nSaw,2\n", "p.csv", "core.Product")
        self.loaded(self.previewed(job, finding="match", match="name", existing="update", missing="reject"))
        assert Product.objects.get().price == 2

    def test_references_into_other_databases_are_checked(self) -> None:
        User.objects.create(id=1, name="Ann", email="a@example.com")
        Product.objects.create(id=1, name="Saw", price=1)
        content = "id,user_id,product_id,quantity\n1,1,1,2\n2,7,1,2\n"
        load = self.loaded(self.previewed(self.uploaded(content, "o.csv", "core.Order")))
        assert [order.id for order in Order.objects.all()] == [1]
        assert "user_id 7 does not exist in users" in self.text(f"{SECTION}{load.pk}/")

    def test_the_columns_of_a_spreadsheet_are_shown_and_matched(self) -> None:
        content = io.BytesIO()
        with xlsxwriter.Workbook(content) as book:
            sheet = book.add_worksheet("Prices")
            for number, row in enumerate([("Nr", "Name", "Preis"), (1, "Saw", 12.5), (2, "", 3)]):
                sheet.write_row(number, 0, row)
        job = self.uploaded(content.getvalue(), "prices.xlsx", "core.Product")
        assert "12.5" in self.text(f"{SECTION}{job.pk}/columns/")
        load = self.loaded(self.previewed(job))
        assert (load.state, load.error) == ("complete", "")
        assert list(Product.objects.values_list("id", "name", "price")) == [(1, "Saw", 12.5)]

    def test_json_lines_and_packed_files_are_looked_at(self) -> None:
        lines = '{"id": 1, "name": "Ann", "email": "a@example.com"}\n'
        preview = self.previewed(self.uploaded(gzip.compress(lines.encode()), "u.jsonl.gz"))
        assert (preview.state, preview.error) == ("complete", "")
        self.loaded(preview)
        assert User.objects.get().name == "Ann"

    def test_answers_may_be_changed_after_the_preview(self) -> None:
        preview = self.previewed(self.uploaded("id,name,email\n1,Ann,ann@example.com\n"), existing="reject")
        answer = self.posted(f"{SECTION}{preview.pk}/revise/")
        draft = Job.objects.get(state="draft")
        self.assertRedirects(answer, f"{SECTION}{draft.pk}/columns/", fetch_redirect_response=False)
        assert draft.upload == preview.upload
        assert json.loads(draft.plan) == json.loads(preview.plan)

    def test_a_file_that_changed_after_the_preview_is_not_loaded(self) -> None:
        preview = self.previewed(self.uploaded())
        with open(preview.upload.path, "a") as file:
            file.write("4,Dora,dora@example.com\n")
        load = self.loaded(preview)
        assert load.state == "failed"
        assert "no longer the one that was previewed" in self.text(f"{SECTION}{load.pk}/")
        assert User.objects.count() == 0

    def test_a_file_that_cannot_be_read_is_a_line_in_the_page(self) -> None:
        preview = self.previewed(self.uploaded(b"PAR1, not really", "u.parquet"))
        assert preview.state == "failed"
        assert preview.error
        assert 'class="alert"' in self.text(f"{SECTION}{preview.pk}/")


class UploadTest(ConsoleTest):
    def setUp(self) -> None:
        super().setUp()
        self.log_in("ann", "core.add_user")

    def _stored(self) -> list[Path]:
        return [path for path in Path(settings.ASYNC_LOADER_UPLOADS).rglob("*") if path.is_file()]

    def test_a_file_lies_under_a_random_name_for_its_user_alone(self) -> None:
        job = self.uploaded(name="../../etc/Users of Köln.csv")
        [path] = self._stored()
        assert path == Path(job.upload.path)
        assert path.name == f"{path.stem}.csv"
        assert len(path.stem) == 32
        assert os.stat(path).st_mode & 0o077 == 0
        assert job.upload.name == "Users of Köln.csv"
        assert job.upload.size == len(USERS)

    def test_a_file_that_is_too_large_leaves_nothing(self) -> None:
        with self.settings(ASYNC_LOADER_UPLOAD_LIMIT=20):
            file = SimpleUploadedFile("users.csv", USERS.encode())
            answer = self.client.post(f"{SECTION}add/", {"model": "core.User", "file": file})
        assert "larger than files may be" in answer.content.decode()
        assert self._stored() == []
        assert Upload.objects.count() == 0

    def test_a_file_of_no_known_kind_leaves_nothing(self) -> None:
        for name in ("users.exe", "users.zip", "users.csv.zip", "users", "users.csv#x"):
            file = SimpleUploadedFile(name, b"x")
            answer = self.client.post(f"{SECTION}add/", {"model": "core.User", "file": file})
            assert "what kind of file it is" in answer.content.decode(), name
            assert self._stored() == [], name

    def test_old_files_are_deleted_with_the_next_upload(self) -> None:
        old = self.previewed(self.uploaded())
        with self.settings(ASYNC_LOADER_UPLOAD_DAYS=0):
            self.uploaded()
        old.upload.refresh_from_db()
        assert old.upload.stored == ""
        page = self.text(f"{SECTION}{old.pk}/")
        assert "deleted after its time" in page
        assert f"{SECTION}{old.pk}/load/" not in page

    def test_what_a_killed_server_was_receiving_is_deleted_with_the_next_upload(self) -> None:
        self.uploaded()
        left = Path(settings.ASYNC_LOADER_UPLOADS) / "incoming" / "left"
        left.touch()
        os.utime(left, (0, 0))
        Job.objects.all().delete()
        self.uploaded()
        assert not left.exists()
        assert len(self._stored()) == 2
