"""What a site is put together from: nginx for real, the containers as far as they can be read."""

import datetime
import ipaddress
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPResponse, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import pytest
import yaml
from websockets.exceptions import InvalidStatus

from finwise.places import ROOT
from finwise.tests.test_settings import SOUND_KEY
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import dial
from syncapp.tests.socket.processes import ServerProcess
from tenants.models import User
from tenants.tokens import create_token

NGINX = (ROOT / "deploy/nginx.conf").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = ("prepare", "app")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificate(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "finwise.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("finwise.example.org"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Site(NamedTuple):
    """The example's nginx with its two ports, and the process behind it."""

    plain: int
    tls: int
    process: ServerProcess

    def get(self, path: str, host: str = "finwise.example.org", referer: str = "") -> HTTPResponse:
        connection = HTTPSConnection("127.0.0.1", self.tls, context=anybody(), timeout=10)
        connection.request("GET", path, headers={"Host": host, "Referer": referer})
        return connection.getresponse()

    def get_plainly(self, path: str) -> str:
        """The whole answer at the port without TLS."""
        with socket.create_connection(("127.0.0.1", self.plain)) as raw:
            raw.sendall(
                f"GET {path} HTTP/1.1\r\nHost: finwise.example.org\r\n".encode()
                + b"Connection: close\r\n\r\n"
            )
            return b"".join(iter(lambda: raw.recv(4096), b"")).decode()


def anybody() -> ssl.SSLContext:
    """Takes every certificate: what is tried is not who answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture
def site(households: Callable[[], Household], tmp_path: Path) -> Iterator[Site]:
    """The example's nginx, at ports of our own, in front of a process in production."""
    server = ServerProcess(
        environment={
            "FINWISE_ENV": "production",
            "FINWISE_SECRET_KEY": SOUND_KEY,
            "FINWISE_HOSTS": "finwise.example.org",
            "FINWISE_BEHIND_PROXY": "1",
            "FINWISE_EMAIL_URL": "dummymail://",
        }
    )
    make_certificate(tmp_path)
    plain, tls = free_port(), free_port()
    text = re.sub(r"\n *listen \[::\].*", "", NGINX)
    text = text.replace("server app:8000;", f"server 127.0.0.1:{server.port};")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{plain};")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{tls} ")
    text = text.replace("/etc/nginx/tls/", f"{tmp_path}/")
    text = text.replace("/var/log/nginx/", f"{tmp_path}/")
    (tmp_path / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\n"
        "events {}\nhttp {\n"
        # As from another machine: the process must believe its proxy wherever that runs.
        "proxy_bind 127.0.0.2;\n"
        f"access_log off;\nclient_body_temp_path {tmp_path}/body;\n"
        f"proxy_temp_path {tmp_path}/proxy;\nfastcgi_temp_path {tmp_path}/f;\n"
        f"uwsgi_temp_path {tmp_path}/u;\nscgi_temp_path {tmp_path}/s;\n{text}\n}}\n"
    )
    command = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    nginx = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        gives_up_s = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", tls)).close()
                break
            except OSError:
                assert time.monotonic() < gives_up_s and nginx.poll() is None
        yield Site(plain, tls, server)
    finally:
        nginx.terminate()
        nginx.wait(10)
        if server.process.poll() is None:
            server.stop()


def trusting(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    return context


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_the_nginx_example_brings_pages_and_sockets_over_tls(
    site: Site, household: Household, tmp_path: Path
) -> None:
    context = trusting(tmp_path / "fullchain.pem")
    page = site.get("/admin/")  # sends to the sign-in, whose files only a site has collected
    assert (page.status, page.headers["Location"]) == (302, "/admin/login/?next=/admin/")
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    # Health is for inside, and other names are not answered at all.
    assert site.get("/health/ready").status == 404
    with pytest.raises(RemoteDisconnected):
        site.get("/", "evil.example")
    answer = site.get_plainly("/x")
    assert "301" in answer and "https://finwise.example.org/x" in answer
    # A plain socket: sent to TLS by nginx, refused by the process if somebody gets that far.
    assert "301" in site.get_plainly(f"/ws/sync/{household.id}/").splitlines()[0]
    with pytest.raises(InvalidStatus) as turned_away:
        dial(
            "ws://finwise.example.org",
            household.id,
            token=create_token(User.objects.get(pk=household.owner), "phone"),
            sock=socket.create_connection(("127.0.0.1", site.process.port)),
        )
    assert turned_away.value.response.status_code == 403
    # A browser's socket: the session's cookie, and the Origin of the site itself.
    cookie = signed_in(household)
    own, foreign = "https://finwise.example.org", "https://evil.example"
    for origin, is_let_in in ((own, True), (foreign, False), (own.replace("https", "http"), False)):
        try:
            with dial(
                "wss://finwise.example.org",
                household.id,
                headers={"Cookie": cookie, "Origin": origin},
                sock=socket.create_connection(("127.0.0.1", site.tls)),
                ssl=context,
            ) as browser:
                assert is_let_in, origin
                hello = {"type": "hello", "device": str(uuid.uuid4()), "node": token_hex(8)}
                browser.send(json.dumps(hello))
                assert json.loads(browser.recv(20))["type"] == "welcome"
        except InvalidStatus as refused:
            assert (refused.response.status_code, is_let_in) == (403, False), origin


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_no_key_in_an_address_is_in_a_log_of_nginx(site: Site, tmp_path: Path) -> None:
    """S07: the links that mails carry, where they lead, and when nobody is there to answer."""
    link = "0123456789abcdef0123456789abcdef-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789canary"
    places = ("invitations", "confirm-email", "password/reset/key")
    keys = [f"/accounts/{place}/{link}/" for place in places]
    paths = [
        *keys,
        *(f"/accounts/login/?next={key}" for key in keys),
        keys[0].replace("accounts/", "accounts//"),
        keys[1].replace("confirm", "CONFIRM"),
        keys[2].replace("-", "%2d"),
    ]
    site.get("/nothing/here", referer=f"https://finwise.example.org{keys[0]}")
    for path in paths:
        site.get(path)
        assert "301" in site.get_plainly(path)
    site.process.kill()
    for path in paths:
        assert site.get(path).status == 502
    assert site.get("/nothing/here").status == 502
    gives_up_s = time.monotonic() + 10
    lines: list[str] = []
    while len(lines) < 3 * len(paths) + 2:  # nginx writes a line after it has answered
        assert time.monotonic() < gives_up_s, lines
        lines = (tmp_path / "access.log").read_text().splitlines()
    for place in places:
        assert sum(f"/accounts/{place}/***" in line for line in lines) >= 3
    # The log of errors still tells that nobody answers.
    errors = (tmp_path / "error.log").read_text()
    assert "/nothing/here" in errors
    for said in ("\n".join(lines), errors):
        assert "canary" not in said and link[:32] not in said


def signed_in(household: Household) -> str:
    """The cookie of the household's owner, as production names it."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.test import override_settings

    user = User.objects.get(pk=household.owner)
    with override_settings(SECRET_KEY=SOUND_KEY):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
    return f"__Host-session={session.session_key}"


# --- containers: read, because there may be nothing here to run them ------------------------


def test_the_image_runs_as_nobody_and_holds_no_secret() -> None:
    last = DOCKERFILE.split("\nFROM ")[-1]
    assert re.search(r"^USER (\d+):\1$", last, re.MULTILINE)
    assert int(re.search(r"^USER (\d+)", last, re.MULTILINE)[1]) > 0  # type: ignore[index]
    assert last.index("USER") < last.index("CMD [")
    assert not re.search(r"^(ENV|ARG).*(KEY|PASSWORD|TOKEN)", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE and "npm ci" in DOCKERFILE
    for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert re.search(r":\d", image), image


def test_everything_that_the_image_copies_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"manage.py", "finwise", "templates", "frontend/"} <= set(names)
    assert [name for name in names if not (ROOT / name).exists()] == []
    # And all that is imported at run time is copied.
    for package in ("finwise", "tenants", "accounts", "syncapp"):
        assert package in names


def test_a_container_of_ours_may_write_nothing_and_become_nobody_else() -> None:
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["read_only"] is True and service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["environment"]["FINWISE_BEHIND_PROXY"] == "1"
    for name, service in COMPOSE["services"].items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service
        assert name == "nginx" or "ports" not in service, f"{name} is nobody's business"


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for name in ("POSTGRES_PASSWORD", "FINWISE_SECRET_KEY"):
        used = re.findall(rf"\$\{{{name}(.)", text)
        assert used and set(used) == {":"}
        assert f"${{{name}:-" not in text


def test_the_compose_file_mounts_what_there_is() -> None:
    conf, tls = COMPOSE["services"]["nginx"]["volumes"]
    assert (ROOT / conf.split(":")[0]).exists()
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert tls.split(":")[0].lstrip(".") + "/" in ignored
    assert "server app:8000;" in NGINX
    assert re.search(r'CMD \["python", "manage.py", "serve".*"8000"\]', DOCKERFILE)
