"""Accounts and groups of one household, in that household's own admin (`syncapp/admin/site.py`).

Lists show no amounts: whoever looks for a stuck device need not see them.
"""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, AccountGroup
from syncapp.admin.rows import ExistsFilter, RowAdmin
from syncapp.admin.site import household_site


@admin.register(Account, site=household_site)
class AccountAdmin(RowAdmin):
    """Accounts."""

    list_display = ("name", "account_type", "group_name", "is_active")
    list_filter = (ExistsFilter, "account_type", "is_active")
    search_fields = ("name", "id")
    ordering = ("sort_order", "name")
    fields = (
        "name", "account_type", "account_group", "description", "note", "iban", "balance",
        "credit_limit", "offset", "is_active", "is_offline_budget", "sort_order",
    )  # fmt: skip

    @admin.display(description=_("Account group"))
    def group_name(self, account: Account) -> str:
        """A reference may name nothing; then the account is ungrouped."""
        groups = AccountGroup.with_tombstones.filter(pk=account.account_group_id)
        return str(groups.filter(sync_exists=True).first() or "–")


@admin.register(AccountGroup, site=household_site)
class AccountGroupAdmin(RowAdmin):
    """Account groups."""

    list_display = ("name", "sort_order")
    search_fields = ("name", "id")
    ordering = ("sort_order", "name")
    fields = ("name", "sort_order")
