import asyncio
from uuid import UUID

import pytest

from tenants.tests.crossings import KINDS, hammer, refuse_crossings


@pytest.mark.parametrize("seed", [1, 2])
def test_hammered_households_never_meet(
    home: UUID, other_home: UUID, pooled: None, seed: int
) -> None:
    """L01, L02, L05, S42: rollbacks, savepoints, errors, moved paths, cancellations, 8 workers.

    `manage.py check_isolation --operations 100000` is the same at full size.
    """
    outcomes = asyncio.run(hammer([home, other_home], 1_000, seed))
    assert sum(outcomes.values()) == 1_000
    assert {kind.split(":")[0] for kind in outcomes} == {
        "cancelled",
        *(kind.__name__ for kind in KINDS),
    }
    assert refuse_crossings([home, other_home]) > 500
