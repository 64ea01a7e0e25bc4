"""The project's settings with views that load: a view, one that is a coroutine, and one that blocks within one."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

from django.core.management import CommandError, call_command
from django.http import HttpRequest, JsonResponse
from django.urls import path
from settings import *  # noqa: F403 - as projects write it

DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "served"


def load(request: HttpRequest) -> JsonResponse:
    out = io.StringIO()
    try:
        source = f"shop.Product={request.GET['path']}"
        call_command("insert_data", source, format="json", mode=request.GET["mode"], stdout=out, verbosity=0)
    except CommandError as error:
        return JsonResponse({"error": str(error), "code": error.returncode}, status=400)
    table: dict[str, Any] = json.loads(out.getvalue())["tables"]["shop_product"]
    return JsonResponse({name: table[name] for name in ("inserted", "unchanged", "rejected")})


async def load_awaited(request: HttpRequest) -> JsonResponse:
    return await asyncio.to_thread(load, request)


async def load_blocking(request: HttpRequest) -> JsonResponse:
    return load(request)


urlpatterns = [path("plain", load), path("awaited", load_awaited), path("blocking", load_blocking)]
