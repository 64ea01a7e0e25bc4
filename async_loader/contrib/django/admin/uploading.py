"""Takes an uploaded file into the private directory as it comes, under a random name, up to the limit.

The browser's name of a file is shown, and is never part of a path: only its suffixes are kept, which say its format.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.utils import timezone

from async_loader.contrib.django.admin.locks import is_held, private_directory
from async_loader.contrib.django.admin.models import Upload
from async_loader.contrib.django.admin.settings import upload_days, upload_limit, uploads

# The suffixes that say a format, also of what is packed: letters and digits, two at most.
_SUFFIXES = re.compile(r"(\.[a-z0-9]{1,8}){1,2}$")
_LONGEST_NAME = 255
# Seconds after which no file is still being received.
_LONGEST_UPLOAD = 86_400


class PrivateFile(UploadedFile):  # type: ignore[type-arg]
    """A file that has come whole. It is gone when it is closed, unless it was kept."""

    def __init__(self, path: Path, name: str, size: int, digest: str) -> None:
        super().__init__(path.open("rb"), name, size=size)
        self.length = size
        self.path = path
        self.digest = digest

    def close(self) -> None:
        """Close the file, and remove it if it was not kept."""
        super().close()
        self.path.unlink(missing_ok=True)

    def keep(self, owner: str, owner_name: str) -> Upload:
        """Keep the file as an upload of a person."""
        name = str(self.name)
        suffixes = _SUFFIXES.search(name.lower())
        upload = Upload(name=name, size=self.length, digest=self.digest, owner=owner, owner_name=owner_name)
        upload.stored = f"{uuid.uuid4().hex}{suffixes[0] if suffixes else ''}"
        self.path.rename(upload.path)
        try:
            upload.save()
        except BaseException:
            Path(upload.path).unlink(missing_ok=True)
            raise
        return upload


class PrivateUploadHandler(FileUploadHandler):
    """Writes the chunks of a file into the private directory. `is_too_large` says that one was left out."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self.is_too_large = False
        self._path: Path | None = None
        self._descriptor = -1

    def new_file(self, *arguments: Any, **options: Any) -> None:
        """Begin a file under a random name."""
        super().new_file(*arguments, **options)
        self._size, self._digest = 0, hashlib.sha256()
        self._path = private_directory("incoming") / uuid.uuid4().hex
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:  # noqa: ARG002
        """Write a chunk. SkipFile for one that leads past the limit: the rest is read and thrown away."""
        self._size += len(raw_data)
        if self._size > upload_limit():
            self.is_too_large = True
            self.upload_interrupted()
            raise SkipFile
        self._digest.update(raw_data)
        rest = memoryview(raw_data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def file_complete(self, file_size: int) -> PrivateFile:  # noqa: ARG002
        """Return the file, which is whole now."""
        os.close(self._descriptor)
        path, self._path = cast("Path", self._path), None
        name = "".join(each for each in self.file_name or "" if each.isprintable())[-_LONGEST_NAME:]
        return PrivateFile(path, name, self._size, self._digest.hexdigest())

    def upload_interrupted(self) -> None:
        """Remove what has come of a file."""
        if self._path is not None:
            os.close(self._descriptor)
            self._path.unlink(missing_ok=True)
            self._path = None


def delete_old_uploads() -> None:
    """Delete the files of uploads that are older than the project keeps them and that no job is about to read, and what
    is left of files that a killed server was receiving.
    """
    for path in private_directory("incoming").iterdir():
        if path.stat().st_mtime < time.time() - _LONGEST_UPLOAD:
            path.unlink(missing_ok=True)
    oldest = timezone.now() - timedelta(days=upload_days())
    for upload in Upload.objects.filter(created_at__lt=oldest).exclude(stored="").prefetch_related("jobs"):
        if not any(is_held(job.pk) for job in upload.jobs.all()):
            with suppress(FileNotFoundError):
                (uploads() / upload.stored).unlink()
            upload.stored = ""
            upload.save(update_fields=["stored"])
