"""What browsers are told about where a page's parts may come from."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

# Everything from this site and nothing inline.
RULES = (
    "default-src 'self'",
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
POLICY = "; ".join(RULES)
# The admin's look (unfold) is made of inline styles, inline scripts and expressions that are
# evaluated; what is shown there is escaped by Django. Nothing else of the site may do that.
ADMIN_PATH = "/admin/"
ADMIN_POLICY = "; ".join(
    (
        *RULES,
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
    )
)

# Addresses there may be keys (finwise/masking.py), and browsers would tell them to whoever is asked
# next: a proxy, which logs them. The origin alone is enough to prove that a form is ours.
KEYS_PATH = "/accounts/"

# What FinWise never asks a browser for, nobody who sneaks in shall get. And no other site may
# load its answers into a page of its own.
ALWAYS = {
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
}


def policy_for_app(host: str) -> str:
    """The policy for the app's shell, which opens a socket and has a service worker.

    host: as the request names it, checked by Django. Browsers differ in whether 'self' includes
    the site's sockets, so those are named.
    """
    return "; ".join(
        (
            *RULES,
            f"connect-src 'self' ws://{host} wss://{host}",
            "script-src 'self'",
            "style-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
        )
    )


@sync_and_async_middleware
def ContentSecurityPolicy(get_response: Callable) -> Callable:
    """Add the policy to every answer that has none of its own."""
    if iscoroutinefunction(get_response):

        async def middleware_async(request: HttpRequest) -> HttpResponse:
            return with_policy(request, await get_response(request))

        return middleware_async

    def middleware(request: HttpRequest) -> HttpResponse:
        return with_policy(request, get_response(request))

    return middleware


def with_policy(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Say to the browser what this page may load, who may keep it, and what it tells others."""
    policy = ADMIN_POLICY if request.path_info.startswith(ADMIN_PATH) else POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    if request.path_info.startswith(KEYS_PATH):
        response.headers["Referrer-Policy"] = "strict-origin"
    # What depends on who asks is for that one's eyes, and stays in no cache on the way.
    if "cookie" in response.headers.get("Vary", "").lower():
        response.headers.setdefault("Cache-Control", "no-store, private")
    # The worker finds the shell in its cache only if it does not depend on who asks, and how.
    if getattr(response, "is_same_for_all", False):
        del response.headers["Vary"]
    for name, value in ALWAYS.items():
        response.headers.setdefault(name, value)
    return response
