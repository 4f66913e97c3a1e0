"""Households, as the sync's own tests have them."""

from syncapp.tests.conftest import _template, household, households, psql

__all__ = ["_template", "household", "households", "psql"]
