"""The simulation's stories on a real PostgreSQL."""

from __future__ import annotations

import pytest

from syncapp.tests.household import Household

from .postgres import PostgresGround
from .simulation import Simulation

SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_replicas_end_equal_on_postgresql(household: Household, seed: int) -> None:
    """K01, Q01: replay with script/simulate --postgres --seed N."""
    story = Simulation(seed, ground=PostgresGround.of(household))
    story.run()
    assert story.step == story.steps
