"""The shell of the app, its service worker and its manifest: three files, the same for everybody.

None of them holds anything of a person, a session or a request: the service worker keeps the shell
and shows it without a network, to whoever opens the app next.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from finwise.security import policy_for_app
from finwise.webapp.build import DIST

# Asked for again each time, answered 304 while nothing has changed.
ALWAYS_ASK = "no-cache"


@require_safe
def shell(request: HttpRequest) -> HttpResponse:
    response = built_file(request, "index.html", "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy_for_app(request.get_host())
    return response


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """From the root, because a worker serves only what lies below its own address."""
    return built_file(request, "sw.js", "text/javascript; charset=utf-8")


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    return built_file(request, "manifest.webmanifest", "application/manifest+json")


def built_file(request: HttpRequest, name: str, content_type: str) -> HttpResponse:
    """A file of the last build, byte for byte."""
    try:
        # Read each time: it is small, and a build may replace it while we serve.
        content = Path(DIST, name).read_bytes()
    except OSError:
        return render(request, "app_missing.html", status=503)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"Cache-Control": ALWAYS_ASK, "ETag": etag}
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304, headers=headers)
    else:
        response = HttpResponse(content, content_type=content_type, headers=headers)
    response.is_same_for_all = True  # type: ignore[attr-defined]
    return response
