"""Begins the load of a file of one user, as the console does, prints the id of the job, and ends: the load goes on."""

from __future__ import annotations

import hashlib
import sys

import django

CONTENT = b"id,name,email\n1,Ann,ann@example.com\n"


def main() -> None:
    """Store a file and its job, and start the process of the job."""
    django.setup()
    from async_loader.contrib.django.admin.common import queue
    from async_loader.contrib.django.admin.locks import private_directory
    from async_loader.contrib.django.admin.models import Job, Upload

    private_directory()
    digest = hashlib.sha256(CONTENT).hexdigest()
    upload = Upload(name="users.csv", stored="1.csv", size=len(CONTENT), digest=digest, owner="1", owner_name="ann")
    with open(upload.path, "wb") as file:
        file.write(CONTENT)
    upload.save()
    job = Job(kind=Job.Kind.LOAD, upload=upload, model="core.User", owner="1", owner_name="ann")
    queue(job)
    sys.stdout.write(job.pk.hex)


if __name__ == "__main__":
    main()
