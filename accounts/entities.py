"""How accounts and groups travel: as their models say."""

from syncapp.registry import sync

from .models import Account, AccountGroup

sync(AccountGroup)
sync(Account)
