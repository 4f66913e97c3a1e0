"""Serving a built FinWise 0.4 app from our origin, so that it carries our session.

The files are the operator's (FINWISE04_APP_DIR). They lie where the app was built for: a build
for `/` takes the place of our own app.
"""

from __future__ import annotations

import functools
import hashlib
import mimetypes
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.urls import path, re_path
from django.urls.resolvers import URLPattern
from django.views.decorators.http import require_safe

from tenants.browsers import remember_browser

# Vite writes the base it built for before `assets/`.
_BASE = re.compile(r"""(?:src|href)=["'](/(?:[\w.-]+/)*)assets/""")
# Fonts that the page links to. Its icons come from these, as its library has it.
_STYLESHEET = re.compile(
    r"""<link(?=[^>]*\srel=["']?stylesheet)[^>]*\shref=["'](https://[\w.-]+)/""", re.I
)
_FONTS_OF = {"https://fonts.googleapis.com": "https://fonts.gstatic.com"}
_ICONS = "https://api.iconify.design https://api.simplesvg.com https://api.unisvg.com"
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.I)
# A program that asks for what is not there must not get a page.
_NO_PAGES = r"(?!(?:api|static|health|admin)/)"


class App:
    """One built app: a folder with an index.html."""

    def __init__(self, folder: Path) -> None:
        """Raises ImproperlyConfigured if the folder holds no app."""
        self.folder = folder.resolve()
        try:
            index = (self.folder / "index.html").read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise ImproperlyConfigured(
                f"FINWISE04_APP_DIR names {folder}, and there is no index.html to be read."
            ) from error
        found = _BASE.search(index)
        self.base = found[1] if found else "/"
        self._scripts = " ".join(
            f"'sha256-{_hash(text)}'" for text in _INLINE_SCRIPT.findall(index)
        )
        styles = dict.fromkeys(_STYLESHEET.findall(index))
        self._styles = "".join(f" {each}" for each in styles)
        self._fonts = "".join(f" {_FONTS_OF.get(each, each)}" for each in styles)

    def urlpatterns(
        self, api: Sequence[URLPattern] = ()
    ) -> tuple[list[URLPattern], list[URLPattern]]:
        """Addresses that come before our own, and those that come after.

        api: what the app asks of a server. Its own pages may be called alike.
        """
        view = require_safe(self.answer)
        base = re.escape(self.base[1:])
        # Our service worker would show our own app in place of this one.
        first = [re_path(rf"^{base}(?P<name>sw\.js|manifest\.webmanifest)?$", view)]
        if not base:
            first += [path(str(each.pattern), self._or_page(each.callback)) for each in api]
        rest = [re_path(rf"^{base}{_NO_PAGES if not base else ''}(?P<name>.+)$", view)]
        return first, rest

    def _or_page(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """The app's page for a browser that goes to the address, else the view."""

        @functools.wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponse:
            is_visit = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
            return self.answer(request) if is_visit else view(request, **arguments)

        return answer

    def answer(self, request: HttpRequest, name: str | None = None) -> HttpResponse:
        """A file of the app; its page for whatever is none, because it has pages of its own."""
        name = name or ""
        file = self._file(name)
        if file is None:
            if "." in name.rpartition("/")[2]:
                raise Http404
            file = self.folder / "index.html"
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        response = HttpResponse(file.read_bytes(), content_type=kind)
        response["Content-Security-Policy"] = self._policy(request)
        if file.name == "index.html":
            remember_browser(request, response)
        is_hashed = name.startswith("assets/")
        response["Cache-Control"] = (
            "public, max-age=31536000, immutable" if is_hashed else "no-cache"
        )
        return response

    def _policy(self, request: HttpRequest) -> str:
        """Everything from this site; of inline scripts, those of the page as it was built.

        Its fonts and icons come from where the app fetches them; programs never do.
        """
        host, _ = split_domain_port(request.get_host())
        return "; ".join(
            (
                "default-src 'self'",
                f"script-src 'self' {self._scripts}".rstrip(),
                # Its parts write styles into the page.
                f"style-src 'self' 'unsafe-inline'{self._styles}",
                "img-src 'self' data: blob:",
                f"font-src 'self' data:{self._fonts}",
                # Its socket's port is the one that it was built with.
                f"connect-src 'self' ws://{host}:* wss://{host}:* {_ICONS}",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        )

    def _file(self, name: str) -> Path | None:
        if not name or "\x00" in name:
            return None
        file = (self.folder / name).resolve()
        return file if file.is_relative_to(self.folder) and file.is_file() else None


def _hash(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()
