"""How accounts and groups are called in FinWise 0.4.

Fields have the same names there. It knows four types of account; any other of ours it keeps
as it came, and sends it back so.
"""

from syncapp.dialects.finwise04 import Kind
from syncapp.finwise04.kinds import declare

from .models import AccountType

declare(Kind("account_group", "AccountGroup", "account_groups"))
declare(
    Kind(
        "account",
        "Account",
        "accounts",
        codes={
            "accountType": {
                AccountType.GIRO.value: "CHECKING",
                AccountType.SPAR.value: "SAVINGS",
                AccountType.KREDITKARTE.value: "CREDIT",
                AccountType.BAR.value: "CASH",
            }
        },
    )
)
