"""What a person feels: how soon the app is there, an edit is safe, and a long queue is gone.

The same household in one Chromium with one tab; the bare put into IndexedDB and the bare page
are its limits, measured in turns with the app.
"""

from __future__ import annotations

import asyncio
import time

from finwise.webapp import build
from finwise.webapp.check import FIRST_LOAD_MAX_KIB, first_load_kib

from ..browser import Tab, chromium, find_chromium, sign_in
from ..content import Content
from ..figures import Figure, median_of, percentile
from ..house import House
from ..households import Household, make_household
from ..scale import Scale
from ..speaker import Speaker, pushes_of

SCROLLED_PX = 8_000
SCROLLED_PX_PER_S = 4_000

# An edit by the app and the least that is as durable, in turns, at the pace of a fast typist.
EDIT = """
async (count) => {
  const bare = await new Promise((resolve, reject) => {
    const asked = indexedDB.open("bare", 1)
    asked.onupgradeneeded = () => asked.result.createObjectStore("rows", { keyPath: "id" })
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
  const put = (row) =>
    new Promise((resolve, reject) => {
      const writing = bare.transaction("rows", "readwrite", { durability: "strict" })
      writing.objectStore("rows").put(row)
      writing.oncomplete = () => resolve()
      writing.onerror = () => reject(writing.error)
    })
  const taken = async (work) => {
    const began = performance.now()
    await work()
    return performance.now() - began
  }
  const { accounts } = ledger()
  const found = { app: [], bare: [] }
  for (let n = 0; n < count; n++) {
    const { id } = accounts[(n * 7919) % accounts.length]
    found.bare.push(await taken(() => put({ id, balance: `${n}.5` })))
    found.app.push(await taken(() => ledger().editAccount(id, { balance: `${n}.5` })))
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  bare.close()
  return found
}
"""

# Each change another one: of another account, and after all accounts of another field.
QUEUE = """
async (count) => {
  const ids = ledger().accounts.map(({ id }) => id)
  const fields = ["note", "description"]
  for (let n = 0; n < count; n += 50) {
    const edits = Array.from({ length: Math.min(50, count - n) }, (_, k) => {
      const field = fields[Math.floor((n + k) / ids.length)]
      return ledger().editAccount(ids[(n + k) % ids.length], { [field]: `Nummer ${n + k}` })
    })
    await Promise.all(edits)
  }
}
"""
# Another tab has written every account, and this one has not heard of it.
UNHEARD = """
async () => {
  const names = (await indexedDB.databases()).map(({ name }) => name)
  const name = names.find((each) => each.startsWith("finwise-"))
  const database = await new Promise((resolve, reject) => {
    const asked = indexedDB.open(name)
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
  await new Promise((resolve, reject) => {
    const writing = database.transaction("base", "readwrite")
    writing.objectStore("base").openCursor().onsuccess = ({ target: { result: at } }) => {
      if (at === null) return
      at.update({ ...at.value, fields: { ...at.value.fields, description: "Woanders" } })
      at.continue()
    }
    writing.oncomplete = () => resolve()
    writing.onerror = () => reject(writing.error)
  })
  database.close()
  return name
}
"""
# It finds that it has missed something, and reads all.
REREAD = """
async (name) => {
  const channel = new BroadcastChannel(`${name}/rows`)
  channel.postMessage({ changed: "all", revision: 0, isEdit: false })
  while (!ledger().accounts.every((each) => each.description === "Woanders"))
    await new Promise((resolve) => setTimeout(resolve, 50))
  channel.close()
}
"""
# A page that works for 5 ms at a time: what makes its tasks longer is the machine.
IDLE = """
async (seconds) => {
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 15))
    const began = performance.now()
    while (performance.now() < began + 5);
  }
}
"""
BARE_PAGE = "<p style='height: 4rem'>Konto</p>"


def measure(house: House, scale: Scale) -> list[Figure]:
    find_chromium()
    build.ensure()
    house.start_server()  # again: it lists the files that it serves when it starts
    full, listed = make_household(), make_household()
    asyncio.run(_fill(house, full, scale.browser_rows))
    asyncio.run(_fill(house, listed, scale.browser_listed))
    at_full, at_listed = sign_in(full), sign_in(listed)
    size = first_load_kib(build.DIST)
    with chromium() as browser:
        return [
            Figure("size", "JavaScript of the first load, gzip", size, "KiB",
                   at_most=FIRST_LOAD_MAX_KIB),
            *_work(Tab(browser, house, at_full), scale),
            *_scroll(Tab(browser, house, at_listed), Tab(browser, house, at_listed), scale),
        ]  # fmt: skip


def _work(tab: Tab, scale: Scale) -> list[Figure]:
    rows = f"{scale.browser_rows:,} rows"
    tab.open()
    started_ms, started = [], []
    for _ in range(scale.runs):
        with tab.traced() as traces:
            tab.open()
        started_ms.append(tab.run("window.shownMs"))
        started.append(traces[0])
    edits = tab.run(EDIT, scale.browser_edits)
    tab.wait_for("up_to_date")
    tab.context.set_offline(True)
    tab.wait_for("offline")
    tab.run(QUEUE, scale.browser_pending)
    tab.wait_for("offline_pending")
    with tab.traced() as traces:
        began_s = time.perf_counter()
        tab.context.set_offline(False)
        # "Syncing" is shown after half a second only, and a fast machine has sent all by then.
        tab.wait_for("up_to_date")
        flushed_s = time.perf_counter() - began_s
    flushing = traces[0]
    held_mib = tab.heap_mib()
    name = tab.run(UNHEARD)
    with tab.traced() as traces:
        tab.run(REREAD, name)
    reread = traces[0]
    tab.page.goto("about:blank")
    with tab.traced() as traces:
        tab.run(IDLE, scale.browser_idle_s)
    tab.close()
    app, bare = edits["app"], edits["bare"]
    pending = f"{scale.browser_pending:,} pending changes"
    return [
        median_of("start", f"The app opens with {rows}, until accounts show", started_ms, "ms"),
        median_of("start_task", "· longest task until all are in the list",
                  (each.longest_ms for each in started), "ms", at_most=200),
        median_of("start_task_cpu", "· · processor time of the longest",
                  (each.longest_cpu_ms for each in started), "ms"),
        Figure("heap", "· JavaScript memory that is held then", held_mib, "MiB"),
        Figure("edit_p50", f"An edit is durable, with {rows}, p50", percentile(app, 50), "ms"),
        Figure("edit_p95", "· p95", percentile(app, 95), "ms", at_most=20),
        Figure("put_p50", "· a bare durable put in the same browser, p50", percentile(bare, 50),
               "ms"),
        Figure("put_p95", "· · p95", percentile(bare, 95), "ms"),
        Figure("edit_to_put", "· edit to bare put, p50", percentile(app, 50) / percentile(bare, 50),
               ": 1"),
        Figure("flush", f"Flush of {pending}", scale.browser_pending / flushed_s, "changes/s"),
        Figure("flush_task", "· longest task meanwhile", flushing.longest_ms, "ms", at_most=200),
        Figure("flush_task_cpu", "· · processor time of the longest", flushing.longest_cpu_ms,
               "ms"),
        Figure("task_bare", "· · longest of a bare page that works 5 ms at a time",
               traces[0].longest_ms, "ms"),
        Figure("reread_task", f"Longest task while {scale.browser_rows:,} rows change at once",
               reread.longest_ms, "ms", at_most=200),
        Figure("reread_task_cpu", "· processor time of the longest", reread.longest_cpu_ms, "ms"),
    ]  # fmt: skip


def _scroll(tab: Tab, bare: Tab, scale: Scale) -> list[Figure]:
    tab.open()
    bare.page.set_content(BARE_PAGE * scale.browser_listed)
    shares: dict[Tab, list[float]] = {tab: [], bare: []}
    longest = []
    for _ in range(scale.runs):
        for each, found in shares.items():
            each.page.bring_to_front()
            each.run("scrollTo(0, 0)")
            session = each.context.new_cdp_session(each.page)
            with each.traced() as traces:
                session.send(
                    "Input.synthesizeScrollGesture",
                    {"x": 400, "y": 500, "yDistance": -SCROLLED_PX, "speed": SCROLLED_PX_PER_S,
                     "gestureSourceType": "mouse"},
                )  # fmt: skip
            session.detach()
            found.append(100 * traces[0].dropped / max(traces[0].frames, 1))
            if each is tab:
                longest.append(traces[0].longest_cpu_ms)
    figures = [
        median_of("scroll", f"Frames dropped while {scale.browser_listed:,} accounts scroll",
                  shares[tab], "%", at_most=0),
        median_of("scroll_bare", "· the same on a page of bare lines", shares[bare], "%"),
        median_of("scroll_task_cpu", "· processor time of the longest task", longest, "ms",
                  at_most=16.7),
    ]  # fmt: skip
    for each in shares:
        each.close()
    return figures


async def _fill(house: House, household: Household, count: int) -> None:
    speaker = await Speaker.connect(house.address, household.id, household.tokens[0])
    await speaker.hello()
    content = Content(seed=6)
    groups = [
        speaker.change(
            "create", each, {"name": f"Gruppe {n}", "sortOrder": n}, entity="account_group"
        )
        for n, each in enumerate(content.groups)
    ]
    creates = [speaker.change("create", content.row_id(), content.account()) for _ in range(count)]
    await speaker.flush(pushes_of([*groups, *creates]))
    await speaker.close()
