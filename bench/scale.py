"""How much of everything: the published amounts, and small ones to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    runs: int = 5  # of which the median is told
    flush: int = 5_000
    converge: int = 1_000
    devices: int = 10
    live_edits: int = 300
    live_per_s: float = 20.0
    first_load: int = 10_000
    idle: int = 500
    idle_households: int = 50
    provisionings: int = 50
    page_devices: int = 50
    page_loads: int = 20
    listed: int = 500
    asked: int = 200
    browser_rows: int = 10_000
    browser_edits: int = 200
    browser_pending: int = 10_000
    browser_listed: int = 1_000
    browser_idle_s: int = 10
    crowd: int = 1_000
    crowd_households: int = 100
    crowd_idle_s: float = 45  # two beats of each
    town: int = 100  # households
    town_devices: int = 3  # in each
    town_per_s: float = 5.0  # changes in each
    large: int = 100_000
    soak_at_once: int = 20
    lasts_s: float = 60  # town and soak


FULL = Scale()
QUICK = Scale(
    runs=1,
    flush=600,
    converge=100,
    devices=3,
    live_edits=20,
    live_per_s=50.0,
    first_load=700,
    idle=20,
    idle_households=4,
    provisionings=3,
    page_devices=5,
    page_loads=2,
    listed=5,
    asked=10,
    browser_rows=300,
    browser_edits=5,
    browser_pending=600,
    browser_listed=100,
    browser_idle_s=1,
    crowd=20,
    crowd_households=4,
    crowd_idle_s=1,
    town=4,
    large=1_500,
    soak_at_once=4,
    lasts_s=3,
)
