from django.apps import AppConfig


class FinWiseConfig(AppConfig):
    """The project itself is an app, for its `serve` command and its pages."""

    name = "finwise"
