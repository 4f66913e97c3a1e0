"""One seed, one story: a household's devices, its server, and everything that can go wrong.

The seed decides each step. After the last one all is quiet: everybody connects and syncs
until nothing moves. Then all replicas have to be equal to each other, to the server and to
the oracle, and every change has to have had exactly one fate (`checks.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from syncapp import engine, upkeep
from syncapp.core.errors import Refused
from syncapp.core.messages import BATCH_MAX_ROWS
from syncapp.core.session import BEAT_MS, Disconnect
from syncapp.device.sending import PORTION_MIN

from . import checks
from .device import Device, DeviceCrash, Diary, FragileStore
from .ground import Ground, MemoryGround, ServerDied, newest_version, versions
from .household import HOUSEHOLD
from .network import Close, Socket
from .oracle import EXISTS, Cell, Key, Oracle, Wrong, is_here, require
from .person import Person
from .server import Server
from .typed import FIELDS, choose_fields, kept

# Far in the future: PostgreSQL's triggers read the machine's clock, and a household whose
# stamps are ahead of that only counts up, the same for the same seed.
START_MS = 4_102_444_800_000  # 2100-01-01
STEPS = 160
DAY_MS = 24 * 3600 * 1000
TEN_YEARS_MS = 3652 * DAY_MS
QUIET_STEPS_MAX = 6000
ANNA = "aaaaaaaa-0000-4000-8000-000000000001"
BEN = "aaaaaaaa-0000-4000-8000-000000000002"


class SimulationFailed(AssertionError):
    """Tells the seed, what went wrong, and the last steps that led to it."""


# What may happen: its weight, and whether it does so in every story.
_STEPS: dict[str, tuple[float, bool]] = {
    "frame": (80, True),
    "page": (30, True),
    "person": (30, True),
    "time": (14, True),
    "cut": (6, False),
    "half_open": (2, False),
    "repeat": (4, False),
    "busy": (3, False),
    "device_crash": (6, False),
    "server_death": (5, False),
    "server_restart": (2, False),
    "server_away": (2, False),
    "device_clock": (4, False),
    "server_clock": (1.5, False),
    "server_write": (8, False),
    "engine_edit": (5, False),
    "backup": (4, False),
    "restore": (3, False),
    "compact": (2, False),
    "hundred_days": (3, False),
    "new_epoch": (1, False),
    "clone": (1, False),
    "phone_backup": (1, False),
    "phone_restore": (1, False),
    "role": (3, False),
    "version": (2, False),
    "limits": (2, False),
    "join": (1, False),
}
# What else may happen in stories that ask for it: `more` of a simulation.
MORE: dict[str, dict[str, float]] = {
    "failover": {"failover": 6, "backup": 10, "restore": 1, "role": 0},
    "operator": {
        "force_reset": 4, "forget": 2, "revoke": 2, "epoch_unheard": 1, "import": 2, "backup": 6,
        "restore": 4, "server_restart": 4,
    },
    "twins": {
        "twin": 4, "phone_backup": 6, "clone": 2, "backup": 6, "restore": 4, "device_clock": 4,
        "server_clock": 2, "device_crash": 8,
    },
    "long_walks": {
        "backup": 8, "restore": 3, "failover": 3, "hundred_days": 4, "compact": 4, "cut": 8,
        "device_crash": 8, "role": 0,
    },
    "portions": {"cut": 12, "half_open": 4, "server_restart": 3, "backup": 6, "restore": 3},
}  # fmt: skip
# What a story is about: weights on top of its mixture; 0 keeps something out of it.
_THEMES: list[dict[str, float]] = [
    {},
    {},
    {"backup": 6, "restore": 6, "new_epoch": 0, "hundred_days": 0},
    {"backup": 5, "restore": 4, "hundred_days": 4, "new_epoch": 0},
    {"hundred_days": 6, "compact": 3, "server_clock": 0, "new_epoch": 0},
    {"clone": 4, "phone_backup": 4, "phone_restore": 4},
    {"version": 8, "role": 4},
    {"device_crash": 12, "server_death": 12, "cut": 12},
]


def draw_weights(rng: random.Random) -> dict[str, float]:
    """How often what happens in this story; each has its own mixture and theme."""
    weights = {}
    for name, (weight, is_always) in _STEPS.items():
        is_in = is_always or rng.random() < 0.4
        weights[name] = weight * rng.choice([0.5, 1, 2]) if is_in else 0.0
    return weights | rng.choice(_THEMES)


class Simulation:
    """ground: where the household lives; by default, in memory. more: of `MORE`, or ""."""

    def __init__(
        self,
        seed: int,
        steps: int = STEPS,
        ground: Callable[[random.Random, str, int], Ground] = MemoryGround,
        more: str = "",
    ) -> None:
        self.seed, self.steps = seed, steps
        self.rng = random.Random(seed)
        self.step = 0
        self.ms = START_MS
        self.server_off_ms = 0
        self.story: list[str] = []
        self.weights = draw_weights(self.rng) | MORE.get(more, {})
        self.portion_min = PORTION_MIN if more == "portions" else 1.0
        self.oracle = Oracle()
        self.ground = ground(self.rng, ANNA, START_MS)
        self.ground.set_role(BEN, "editor")
        self.is_in_memory = isinstance(self.ground, MemoryGround)
        self.versions = versions(self.ground.entities)
        self.version = self.rng.choice([0, 1, 2]) if self.weights["version"] else 2
        self.ground.entities = self.versions[self.version]
        self.server = Server(self.ground, self.oracle, self.rng, self.server_ms)
        self.server.batch_rows = self.rng.choice([1, 2, 3, 5, BATCH_MAX_ROWS, BATCH_MAX_ROWS])
        count = self.rng.choice([2, 2, 3, 4, 6])
        if more == "long_walks":
            self.server.batch_rows, count = self.rng.choice([1, 2]), 12
        self.rows = {entity: [self._new_id() for _ in range(count)] for entity in FIELDS}
        self.person = Person(self.rng, self.rows, bad=self.rng.choice([0, 0, 0.1]))
        self.sockets: list[Socket] = []  # with something under way, or served
        self.devices: list[Device] = []
        self.backups: list[tuple[object, Any]] = []
        self.restored_ms = 0
        if more in ("operator", "twins"):
            self._backup()  # from before any device was known
        for _ in range(self.rng.randint(2, 4)):
            self._join()

    # --- the story

    def run(self) -> None:
        """Play it. Raises SimulationFailed."""
        try:
            while self.step < self.steps:
                self.step += 1
                self._step()
            self.say("--- quiet")
            self._quiet()
            checks.check_end(self)
        except (Exception, DeviceCrash, ServerDied) as error:
            raise SimulationFailed(self._words(error)) from error

    def say(self, words: str) -> None:
        self.story.append(f"{(self.ms - START_MS) / 1000:>12.1f} s  {words}")

    def _words(self, error: BaseException) -> str:
        tail = "\n".join(f"  {line}" for line in self.story[-45:])
        what = str(error) if isinstance(error, Wrong) else f"{type(error).__name__}: {error}"
        return f"seed {self.seed}, step {self.step} of {self.steps}:\n{tail}\n{what}"

    def _step(self) -> None:
        names, weights = zip(*self.weights.items(), strict=True)
        [name] = self.rng.choices(names, weights)
        self.ms += self.rng.choice([1, 1, 5, 40])
        getattr(self, f"_{name}")()

    def server_ms(self) -> int:
        return self.ms + self.server_off_ms

    def _new_id(self) -> str:
        text = f"{self.rng.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"

    def _device(self) -> Device:
        return self.rng.choice(self.devices)

    # --- devices

    def _join(self) -> None:
        if len(self.devices) >= 5:
            return
        program = self.rng.choices([HOUSEHOLD, newest_version(), {}, None], [5, 3, 2, 2])[0]
        self._add(Device(
            f"device {len(self.devices) + 1}", self.rng.choice([ANNA, ANNA, BEN]), program,
            self.rng, lambda: self.ms, self.oracle, portion_min=self.portion_min,
        ))  # fmt: skip

    def _add(self, device: Device) -> None:
        self.devices.append(device)
        self.say(f"{device.name} of {'Anna' if device.user == ANNA else 'Ben'} joins")

    @contextmanager
    def _alive(self, device: Device) -> Iterator[None]:
        """Whatever the device does may be its last."""
        try:
            yield
        except DeviceCrash:
            self.say(f"{device.name} crashes")
            device.crash()

    def _do(self, device: Device, outputs: list[Any]) -> None:
        if outputs and device.store.crash_in is not None and self.rng.random() < 0.3:
            raise DeviceCrash  # before anything left
        self.sockets += device.take(outputs)
        checks.check_light(self, device)

    def _wake(self, device: Device) -> None:
        """Its timer, if it is due."""
        if not device.is_on:
            if self.rng.random() < 0.5:
                return
            with self._alive(device):
                device.switch_on()
        at = device.talk.wake_at()
        if at is not None and at <= self.ms:
            with self._alive(device):
                self._do(device, device.talk.timer(self.ms))

    def _person(self) -> None:
        device = self._device()
        if not device.is_on:
            self._wake(device)
            return
        with self._alive(device):
            count = self.rng.choice([1, 1, 1, 2, 5])
            for _ in range(count):
                self.say(f"{device.name} {self.person.act(device)}")
            self._do(device, device.talk.edited(self.ms))
            if self.rng.random() < 0.1:
                self._do(device, device.talk.asked(self.ms))

    def _device_crash(self) -> None:
        device = self._device()
        if self.rng.random() < 0.3:
            self.say(f"{device.name} is killed")
            device.crash()
        else:
            device.store.crash_in = self.rng.randint(0, 25)

    def _device_clock(self) -> None:
        device = self._device()
        device.off_ms = self._clock_error()
        self.say(f"{device.name} has its clock off by {device.off_ms / 1000:+.1f} s")

    def _clock_error(self) -> int:
        size = self.rng.choice([3_000, 60_000, DAY_MS, TEN_YEARS_MS])
        return self.rng.choice([0, self.rng.randint(-size, size)])

    def _clone(self) -> None:
        device = self._device()
        if len(self.devices) >= 6 or not device.is_on:
            return
        self._restored(device, device.store.copy(), device.diary.copy(), "is a copy of")

    def _phone_backup(self) -> None:
        device = self._device()
        device.backup = device.store.copy(), device.diary.copy()
        self.say(f"{device.name} is backed up")

    def _phone_restore(self) -> None:
        devices = [device for device in self.devices if device.backup is not None]
        if not devices:
            return
        device = self.rng.choice(devices)
        assert device.backup is not None
        device.crash()
        self.devices.remove(device)
        self._restored(device, *device.backup, "is restored from a backup of")

    def _twin(self) -> None:
        """A backup of a device goes on, and so does the device."""
        devices = [device for device in self.devices if device.backup is not None]
        if not devices or len(self.devices) >= 6:
            return
        device = self.rng.choice(devices)
        assert device.backup is not None
        store, diary = device.backup
        self._restored(device, store.copy(), diary.copy(), "begins from a backup of")

    def _restored(self, device: Device, store: FragileStore, diary: Diary, words: str) -> None:
        other = Device(
            f"device {device.name.removeprefix('device ')}+", device.user, device.program,
            self.rng, lambda: self.ms, self.oracle, store, diary, portion_min=self.portion_min,
        )  # fmt: skip
        other.off_ms, other.shown = device.off_ms, dict(device.shown)
        other.dropped, other.ended = set(device.dropped), set(device.ended)
        self.devices.append(other)
        self.say(f"{other.name} {words} {device.name}")

    # --- the network

    def _frame(self) -> None:
        """Some things arrive, each at either end of some socket."""
        for _ in range(self.rng.choice([1, 1, 2, 4])):
            self._one_frame()

    def _one_frame(self) -> None:
        self.sockets = [each for each in self.sockets if each.up or each.down or each.is_served]
        ways = [(each, "up") for each in self.sockets if each.up and each.is_served]
        ways += [(each, "down") for each in self.sockets if each.down]
        if not ways:
            if self.server.due():
                self._page()
            else:
                self._time()
            return
        socket, way = self.rng.choice(ways)
        if way == "up":
            self._arrives(socket)
        else:
            self._is_heard(socket)

    def _arrives(self, socket: Socket) -> None:
        text = socket.up.popleft()
        name = "bye" if isinstance(text, Disconnect) else text[9 : text.index('"', 9)]
        self.say(f"server hears {name} of {socket.device.name}")
        try:
            self.server.take(socket, text)
        except ServerDied:
            self.say("server dies in it")
            self._server_dies()

    def _is_heard(self, socket: Socket) -> None:
        what, device = socket.down.popleft(), socket.device
        name = type(what.frame).__name__ if hasattr(what, "frame") else repr(what)
        is_new = socket.generation == device.talk.session.generation
        if is_new and device.is_on and socket.talk is device.talk:
            self.say(f"{device.name} hears {name}")
        with self._alive(device):
            is_served = self.server.is_up and not socket.is_cut
            opens = not hasattr(what, "frame") and not isinstance(what, Close)
            if opens and is_served and not socket.is_served:
                self.server.serve(socket)
            self._do(device, device.hear(socket, what, is_served))

    def _page(self) -> None:
        due = self.server.due()
        if due:
            socket = self.rng.choice(due)
            self.server.deliver(socket)

    def _cut(self, is_told: bool = True) -> None:
        live = [each for each in self.sockets if not each.is_cut]
        if not live:
            return
        socket = self.rng.choice(live)
        socket.cut(self.rng)
        self.say(f"the connection of {socket.device.name} breaks")
        if is_told and socket is socket.device.socket:
            socket.down.append(Close(1006))
        if not socket.up and self.rng.random() < 0.5:
            self.server.drop(socket)

    def _half_open(self) -> None:
        self._cut(is_told=False)

    def _repeat(self) -> None:
        """A frame reaches the server twice: two tabs, or a proxy that tries again."""
        ways = [each for each in self.sockets if each.up and each.is_served]
        if not ways:
            return
        socket = self.rng.choice(ways)
        text = socket.up[0]
        if isinstance(text, str) and text.startswith(('{"type":"push"', '{"type":"rows"')):
            socket.up.appendleft(text)

    # --- time

    def _time(self) -> None:
        seconds = self.rng.choice([0.2, 1, 1, 3, 3, 10, 21, 21, 70, 3600])
        self.ms += int(seconds * 1000 * self.rng.random())
        if self.rng.random() < 0.3:
            self.server.hear_head()
        for device in self.devices:
            if self.rng.random() < 0.7:
                self._wake(device)

    def _hundred_days(self) -> None:
        self.ms += self.rng.choice([30, 91, 100]) * DAY_MS
        self.say("a long time passes")
        if self.rng.random() < 0.7:
            self._compact()

    # --- the server

    def _server_dies(self) -> None:
        for socket in self.server.sockets:
            keep = self.rng.randint(0, len(socket.down))
            while len(socket.down) > keep:
                socket.down.pop()
        self.server.restart(1006)

    def _server_death(self) -> None:
        self.server.dies = self.rng.choice(["before", "after"])

    def _server_restart(self) -> None:
        self.say("server restarts")
        self.server.restart(1012)

    def _server_away(self) -> None:
        if self.server.is_up:
            self._server_dies()
        self.server.is_up = not self.server.is_up
        self.say(f"server is {'up' if self.server.is_up else 'away'}")

    def _server_clock(self) -> None:
        self.server_off_ms = self._clock_error()
        self.say(f"server has its clock off by {self.server_off_ms / 1000:+.1f} s")

    def _busy(self) -> None:
        self.server.busy = self.rng.choice([0, 0, 0.2])

    def _limits(self) -> None:
        more = self.server.batch_rows + self.rng.choice([1, 2, BATCH_MAX_ROWS])
        self.server.batch_rows = min(more, BATCH_MAX_ROWS)

    def _version(self) -> None:
        if self.is_in_memory and len(self.versions) == 3 and self.rng.random() < 0.3:
            self.versions.append(newest_version())
        self._become(self.rng.randrange(len(self.versions)))

    def _become(self, version: int) -> None:
        """Another version of the program is deployed."""
        self.version = version
        self.ground.entities = self.versions[version]
        self.server.restart(1012)
        self.say(f"server has version {version} now")

    def _role(self) -> None:
        user, role = self.rng.choice([ANNA, BEN]), self.rng.choice(["viewer", "editor", "editor"])
        self.ground.set_role(user, role)
        self.say(f"{'Anna' if user == ANNA else 'Ben'} is {role} now")

    def _server_write(self) -> None:
        """By hand, past the engine."""
        entity = self.rng.choice(list(FIELDS))
        columns = self.ground.columns.get(entity)
        if columns is None:
            return
        key = (entity, self.rng.choice(self.rows[entity]))
        current = self.oracle.rows.get(key)
        writable = [name for name in columns if name in FIELDS[entity]]
        names = self.rng.sample(writable, self.rng.randint(0, 2))
        fields = choose_fields(self.rng, entity, [*names, "name"], self.rows["account_group"])
        fields = {name: kept(entity, name, value)[0] for name, value in fields.items()}
        now_ms = self.server_ms()
        if current is None or not is_here(current):
            kind = "insert"
            self.ground.insert(key, fields, now_ms)
        elif self.rng.random() < 0.3:
            kind = "delete"
            self.ground.delete(key, now_ms)
        else:
            kind = "update"
            self.ground.update(key, fields, now_ms)
        self.say(f"{kind} by hand: {entity} {key[1][:4]} {fields if kind != 'delete' else ''}")
        self._tell_oracle(key, kind, fields, list(columns), by_engine=False)

    def _engine_edit(self) -> None:
        """In the admin: through the engine, with the stamps that the form was loaded with."""
        entity = self.rng.choice(list(FIELDS))
        known = self.ground.entities.get(entity)
        if known is None:
            return
        key = (entity, self.rng.choice(self.rows[entity]))
        current = self.oracle.rows.get(key)
        kind = self.rng.choice(["edit", "edit", "delete"]) if current else "create"
        names = ["name", *self.rng.sample([*known.fields], self.rng.randint(0, 2))]
        names = [name for name in dict.fromkeys(names) if name in FIELDS[entity]]
        fields = choose_fields(self.rng, entity, names, self.rows["account_group"])
        if kind == "delete":
            fields = {}
        seen = {name: cell.stamp for name, cell in (current or {}).items()}
        is_stale = bool(seen) and self.rng.random() < 0.3
        if is_stale:
            seen = dict.fromkeys(seen, "000000000001-0000-0000000000000000")
        try:
            self.ground.call(_edit, entity, key[1], kind, fields, self.server_ms(), seen)
        except (engine.Stale, Refused) as error:
            self.say(f"admin cannot save: {error!r}")
            self.server.compare()
            return
        self.say(f"admin saves {kind} {entity} {key[1][:4]} {fields}")
        word = {"create": "insert", "edit": "update", "delete": "delete"}[kind]
        self._tell_oracle(key, word, fields, list(known.fields), by_engine=True)

    def _tell_oracle(
        self, key: Key, kind: str, fields: Any, columns: list[str], *, by_engine: bool
    ) -> None:
        head = self.ground.head()
        seq = head.seq if head.seq != self.oracle.state.seq else None
        stored: dict[str, Cell] = dict(self.ground.rows().get(key, {}))
        self.oracle.written_on_server(key, kind, fields, columns, stored, seq, by_engine=by_engine)
        self.server.compare()
        if self.rng.random() < 0.8:  # a NOTIFY may be lost
            self.server.hear_head()

    def _compact(self) -> None:
        now_ms = self.server_ms()
        count = self.ground.call(upkeep.compact, now_ms)
        self.oracle.compacted_to(self.ground.rows(), self.ground.head().horizon, now_ms)
        self.say(f"{count} tombstones are compacted")
        self.server.compare()

    def _backup(self) -> None:
        self.backups.append((self.ground.dump(), self.oracle.state.copy()))
        self.say(f"server is backed up at {self.oracle.state.seq}")

    def _restore(self) -> None:
        if not self.backups:
            return
        self._server_dies()
        backup, state = self.rng.choice([self.backups[-1], self.rng.choice(self.backups)])
        for device in self.devices:
            device.owes = device.holds()
        self.ground.restore(backup)
        self.oracle.restore(state)
        self.restored_ms = self.ms
        self.say(f"server is restored to {state.seq}")
        self.server.compare()

    def _failover(self) -> None:
        """A standby that lags behind takes over; the process and its sockets live on."""
        if not self.backups:
            return
        backup, state = self.backups[-1]
        for device in self.devices:
            device.owes = device.holds()
        self.ground.restore(backup)
        self.oracle.restore(state)
        self.restored_ms = self.ms
        self.say(f"a standby takes over at {state.seq}")
        self.server.compare()

    def _epoch_unheard(self) -> None:
        """Another process does it, and this one does not hear that it has to end its sockets."""
        self.ground.new_epoch()
        self.oracle.new_epoch()
        self.say("the operator resets all devices, unheard")

    def _import(self) -> None:
        """The household is replaced by an export, under open sockets."""
        if not self.backups or not self.is_in_memory:
            return
        backup, state = self.rng.choice(self.backups)
        self.ground.import_rows(backup, self.server_ms())
        self.oracle.imported(state)
        for device in self.devices:
            device.owes = {}
        self.say(f"an export of {state.seq} is imported as {self.oracle.state.seq}")
        self.server.compare()
        if self.rng.random() < 0.5:
            self.server.restart(1012)

    def _force_reset(self) -> None:
        self._cure(upkeep.force_reset, "has to start over")

    def _revoke(self) -> None:
        self._cure(upkeep.revoke, "is revoked")

    def _forget(self) -> None:
        device_id = self._cure(_forget, "is forgotten")
        if device_id:
            self.oracle.forgotten(device_id)

    def _cure(self, function: Callable[..., Any], words: str) -> str:
        """What an operator does to one device. Returns its id, or "" if there is none."""
        device = self._device()
        with device.store.quietly():
            device_id = device.replica.meta.device
        try:
            self.ground.call(function, device_id, self.server_ms())
        except LookupError:
            return ""
        self.say(f"{device.name} {words}")
        if self.rng.random() < 0.8:  # a NOTIFY may be lost
            self.server.end(device_id)
        return device_id

    def _new_epoch(self) -> None:
        self.ground.new_epoch()
        self.oracle.new_epoch()
        self.server.restart(1012)
        self.say("the operator resets all devices")

    # --- quiet

    def _quiet(self) -> None:
        """No more faults: everybody connects, and syncs until nothing moves."""
        self.server.busy, self.server.dies, self.server.is_up = 0.0, "", True
        for user in (ANNA, BEN):
            self.ground.set_role(user, "editor")
        newest = len(self.versions) - 1
        # Sockets that live through it all have to find out by themselves, with the beat.
        are_kept = bool(self.weights.get("failover")) and self.version == newest
        rests_ms = self.ms + (3 * BEAT_MS if are_kept else 0)
        if not are_kept:
            self._become(newest)
        for device in self.devices:
            device.store.crash_in = None
            if not device.is_on:
                device.switch_on()
        for _ in range(QUIET_STEPS_MAX):
            if self._moves():
                continue
            if self.ms >= rests_ms and all(self._is_settled(device) for device in self.devices):
                return  # and each knows it
            # Nothing is under way: the next timer.
            times = [device.talk.wake_at() for device in self.devices]
            self.ms = max(self.ms, min(at for at in times if at is not None))
            self.server.hear_head()
            for device in self.devices:
                self._wake(device)
        raise Wrong("it does not come to rest: " + ", ".join(
            f"{device.name}: {device.talk.session}" for device in self.devices
        ))  # fmt: skip

    def _moves(self) -> bool:
        self.sockets = [each for each in self.sockets if each.up or each.down or each.is_served]
        is_busy = False
        for socket in self.sockets:
            if socket.up and socket.is_served:
                self._arrives(socket)
                is_busy = True
            if socket.down:
                self._is_heard(socket)
                is_busy = True
            if socket.is_cut and not socket.up:
                self.server.drop(socket)
        for socket in self.server.due():
            self.server.deliver(socket)
            is_busy = True
        return is_busy

    def _is_settled(self, device: Device) -> bool:
        facts, session = device.replica.facts(), device.talk.session
        # What it heard last may be some seconds old, of a server that was restored since.
        is_connected = device.socket is not None and device.socket.is_served
        return (
            is_connected
            and session.phase == "idle"
            and not (facts.is_walking or facts.has_rows or facts.has_changes)
            and facts.read_seq == session.head == self.oracle.state.seq
            and (device.talk.is_up_to_date(self.ms) or device.replica.parked_count > 0)
        )


def _forget(repository: Any, device_id: str, now_ms: int) -> None:
    repository.lock_head()
    if not repository.forget_device(device_id):
        raise LookupError


def _edit(repository: Any, *args: Any) -> Any:
    *rest, seen = args
    return engine.edit(repository, *rest, seen=seen or None)


__all__ = ["EXISTS", "Simulation", "SimulationFailed", "require"]
