"""What those wait for who look after households: pages, and the answers to Sync now.

Pages are timed from sending the request until the last byte has been received, one after the
other, by one browser. Sync now: from its POST until a picture that the open status page was
sent says that every device is done.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import time
import uuid

from django.conf import settings
from django.test import Client
from websockets.asyncio.client import connect

from syncapp import greetings
from syncapp.core.messages import Hello, Ping, Report
from syncapp.repository import PostgresRepository
from tenants.context import call_in_tenant
from tenants.models import User
from tenants.provisioning import provision

from ..figures import Figure, median_of, percentile
from ..house import House
from ..households import Household, make_household, make_user
from ..scale import Scale
from ..speaker import Speaker, SyncRequest, now_ms

AT_ONCE = 20  # handshakes under way


def measure(house: House, scale: Scale) -> list[Figure]:
    house.start_server()
    cookie = _sign_in()
    household = make_household()
    _plant_devices(household, scale.page_devices)
    owner = make_user()
    for number in range(scale.listed):
        provision(uuid.uuid4(), f"Household {number}", owner.id, by_operator=True)
    page = _time(house, cookie, f"/sync/{household.id}/", scale.page_loads)
    listed = _time(house, cookie, "/sync/", scale.page_loads)
    admin = _time(house, cookie, "/admin/tenants/tenant/", scale.page_loads)
    crowd = make_household()
    answered_s = asyncio.run(_sync_now(house, crowd, cookie, scale.asked))
    return [
        median_of(
            "household",
            f"Status page of a household with {scale.page_devices} devices",
            page,
            "ms",
            at_most=300,
        ),
        Figure("household_p95", "· p95", percentile(page, 95), "ms", is_detail=True),
        median_of("list", f"Status list of {scale.listed} households", listed, "ms", at_most=300),
        median_of(
            "admin_list", f"Admin list of {scale.listed} households", admin, "ms", at_most=300
        ),
        Figure(
            "sync_now",
            f"Sync now: {scale.asked} devices' answers on the page",
            answered_s,
            "s",
            at_most=3,
        ),
    ]


def _sign_in() -> str:
    """The cookie of somebody who looks after the site."""
    person = User.objects.create_superuser(f"{secrets.token_hex(8)}@bench.example")
    client = Client()
    client.force_login(person)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _plant_devices(household: Household, count: int) -> None:
    """Devices that have said hello and how they are, and a busy day behind them."""
    user = str(User.objects.get(tokens__id=uuid.UUID(household.tokens[0][3:35])).pk)

    def plant(connection: object) -> None:
        repository = PostgresRepository(connection, household.schema)
        for number in range(count):
            device = str(uuid.uuid4())
            hello = Hello(device=device, node=secrets.token_hex(8), name=f"Device {number}")
            greetings.greet(repository, hello, user, now_ms())
            greetings.note_ping(repository, device, user, Ping(pending=number % 3), now_ms())

    def history(connection: object) -> None:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(
                f"INSERT INTO {household.schema}.sync_transaction"
                " (seq, fingerprint, device_id, at_ms, changes)"
                " SELECT n, 'x', NULL, %s - (20000 - n) * 4000, 3 FROM generate_series(1, 20000) n",
                [now_ms()],
            )
            cursor.execute(f"UPDATE {household.schema}.sync_head SET seq = 20000")

    call_in_tenant(household.id, plant)
    call_in_tenant(household.id, history)


def _time(house: House, cookie: str, path: str, count: int) -> list[float]:
    """Milliseconds for each load of a page; the first ones, which fill caches, left out."""
    taken_ms = []
    for _ in range(count + 2):
        began_s = time.perf_counter()
        connection = http.client.HTTPConnection(house.address, timeout=30)
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered {answer.status}.")
    return taken_ms[2:]


async def _sync_now(house: House, household: Household, cookie: str, count: int) -> float:
    """Seconds until the open page shows that all have answered."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def here() -> Speaker:
        async with limit:
            speaker = await Speaker.connect(house.address, household.id, household.tokens[0])
            await speaker.hello()
            await speaker.pull()
            return speaker

    async def answer(speaker: Speaker) -> None:
        while not isinstance(frame := await speaker.receive(), SyncRequest):
            pass
        await speaker.send(Report(id=frame.id, cursor=speaker.cursor))

    speakers = await asyncio.gather(*(here() for _ in range(count)))
    page = await connect(
        f"ws://{house.address}/ws/status/{household.id}/?lang=en",
        subprotocols=["finwise.status.v1"],  # type: ignore[list-item]
        additional_headers={"Cookie": cookie},
        origin=f"http://{house.address}",  # type: ignore[arg-type]
        compression=None,
        max_size=None,
        proxy=None,
    )
    await page.recv()
    answering = [asyncio.ensure_future(answer(each)) for each in speakers]
    began_s = time.perf_counter()
    await asyncio.to_thread(_post, house, cookie, f"/sync/{household.id}/now/")
    wanted = f"{count} of {count} done"
    while wanted not in json.loads(await page.recv()).get("html", ""):
        pass
    taken_s = time.perf_counter() - began_s
    await asyncio.gather(*answering)
    await asyncio.gather(page.close(), *(each.close() for each in speakers))
    return taken_s


def _post(house: House, cookie: str, path: str) -> None:
    token = secrets.token_hex(16)
    headers = {
        "Cookie": f"{cookie}; {settings.CSRF_COOKIE_NAME}={token}",
        "X-CSRFToken": token,
        "Origin": f"http://{house.address}",
        "Accept": "application/json",
    }
    connection = http.client.HTTPConnection(house.address, timeout=30)
    connection.request("POST", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"Sync now was answered {answer.status}.")
