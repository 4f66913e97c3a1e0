// The whole client against a server, under chaos. SIM_SEEDS=100 plays more, SIM_FIRST=7 from there.

import { describe, expect, test } from "vitest"

import { Simulation } from "./testing/simulation"

const SEEDS = Number(process.env["SIM_SEEDS"] ?? 6)
const FIRST = Number(process.env["SIM_FIRST"] ?? 1)
const seeds = Array.from({ length: SEEDS }, (_, n) => FIRST + n)

describe("all devices end as the server, and each change has one fate", () => {
  test.each(seeds)("seed %i: losses, crashes, tabs", async (seed) => {
    const simulation = new Simulation(seed, { devices: 2, steps: 120, isWild: false })
    await expect(simulation.run()).resolves.toBeUndefined()
  })

  test.each(seeds)("seed %i: also restores, new lives and copies", async (seed) => {
    const simulation = new Simulation(seed + 10_000, { devices: 2, steps: 120, isWild: true })
    await expect(simulation.run()).resolves.toBeUndefined()
  })
})
