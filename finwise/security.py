"""What browsers are told about where a page's parts may come from."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

# Everything from this site and nothing inline. `connect-src 'self'` includes its sockets.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@sync_and_async_middleware
def ContentSecurityPolicy(get_response: Callable) -> Callable:
    """Add the policy to every answer that has none of its own."""
    if iscoroutinefunction(get_response):

        async def middleware_async(request: HttpRequest) -> HttpResponse:
            return with_policy(await get_response(request))

        return middleware_async

    def middleware(request: HttpRequest) -> HttpResponse:
        return with_policy(get_response(request))

    return middleware


def with_policy(response: HttpResponse) -> HttpResponse:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    return response
