from django.apps import AppConfig


class SyncappConfig(AppConfig):
    name = "syncapp"
    verbose_name = "Sync"

    def ready(self) -> None:
        from . import checks  # noqa: F401  registers the system checks
