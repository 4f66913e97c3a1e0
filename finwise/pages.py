"""The few answers that need no front end."""

from django.http import HttpRequest, HttpResponse


def alive(request: HttpRequest) -> HttpResponse:
    """This process answers. Says nothing about the database."""
    return HttpResponse("ok\n", content_type="text/plain")
