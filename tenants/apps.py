from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """WHO: people, households, who belongs to which, and the only way into a household's schema."""

    name = "tenants"
