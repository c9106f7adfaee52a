"""Every input that a stranger, or a user who is not staff, controls, at its most expensive; and what such a request costs.

SECURITY.md shows the table with the figures of a release build (tests/faults/measure); test_costs.py holds the limits. It
is counted in processor time and resident memory, not in elapsed time.
"""

import base64
import selectors
import socket
import time

from support import django_sessions, wire
from support.scenario import EXPORTED_USERS, Scenario

STRANGERS = 200
# A head has 32 KiB; the rest of it fits into what is left.
FILL = 31_000
FULL_STOP = "\r\n\r\n"
PLAIN_KEY = "faults0plain0session0key000000000"
TOKEN = "a" * 32
# U+FDFA has the longest compatibility form of all characters.
LONGEST = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}"


def filled(piece, most=FILL):
    return piece * (most // len(piece.encode()))


def get(*headers, target=wire.STATS, method="GET"):
    lines = [f"{method} {target} HTTP/1.1", "Host: testserver", *headers]
    return "\r\n".join(lines).encode() + FULL_STOP.encode()


def post(target, body, *headers, length=True):
    if length:
        headers = (*headers, f"Content-Length: {len(body)}")
    return get(*headers, target=target, method="POST") + body


def header(name, piece, most=FILL):
    return get(f"{name}: {filled(piece, most)}")


def basic(name):
    return get("Authorization: Basic " + base64.b64encode(f"{name}:x".encode()).decode())


def login(body, type_="application/json"):
    return post("/api/login/", body, f"Content-Type: {type_}")


def named(name, size):
    return f'{{"username":"{filled(name, size)}","password":"x"}}'.encode()


def chunked(body, size):
    chunks = (body[at:at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


SESSION = f"Cookie: sessionid={PLAIN_KEY}; csrftoken={TOKEN}"
FORM = "Content-Type: application/x-www-form-urlencoded"
CHUNKED = "Transfer-Encoding: chunked"
LOGIN_FORM = "/api/admin/login/"

# The plainest request that is refused: what all others are held against.
PLAIN = get()
# (input, at its most expensive, the bytes).
INPUTS = [
    ("path", "percent-encoded", get(target="/" + filled("%C3%A9", 31_000))),
    ("path", "without its last slash, and a query that is escaped", get(target="/api/admin/export-users?" + filled("{}", 31_000))),
    ("query", "999 fields", get(target=wire.STATS + "?" + "a=%ff%ff%ff%ff%ff%ff%ff&" * 999)),
    ("query", "one long field", get(target=wire.STATS + "?format=" + filled("%e2%82+", 30_000))),
    ("query", "fields without end", get(target=wire.STATS + "?" + filled("&"))),
    ("headers", "as many as may be", get(*(f"X-{n}: {'y' * 300}" for n in range(90)))),
    ("headers", "too many", get(*(f"X-{n}: y" for n in range(2000)))),
    ("head", "too large", header("X", "x", 120_000)),
    ("head", "half of one", get()[:-4] + b"\r\nX: " + b"x" * 30_000),
    ("Accept", "types", header("Accept", "a/b,")),
    ("Accept", "parameters", header("Accept", 'a/b;c="d\\"";e=f,')),
    ("Accept", "lines", get(*["Accept: " + "a/b;c=d," * 40] * 90)),
    ("Accept-Encoding", "codings, of the description", get("Accept-Encoding: br, " + filled("gzip;q=0.1, "), target="/api/admin/openapi.json")),
    ("Cookie", "cookies", header("Cookie", "sessionid=x;")),
    ("Cookie", "quoted and escaped", get('Cookie: sessionid="' + filled("\\101") + '"')),
    ("Cookie", "lines", get(*["Cookie: " + "sessionid=xxxxxxxx; " * 16] * 90)),
    ("Cookie", "no UTF-8", get("Cookie: sessionid=").replace(b"=\r\n", b"=" + b"\xff" * FILL + b"\r\n")),
    ("Authorization", "a long name", basic(filled(LONGEST, 22_000))),
    ("Authorization", "a name of 254 characters", basic(LONGEST * 254)),
    ("Authorization", "a name of accents", basic("e" + "\u0301\u0323" * 126)),
    ("Authorization", "a name beyond the head", basic(filled(LONGEST, 90_000))),
    ("Authorization", "foreign characters", get("Authorization: Basic " + filled("-"))),
    ("Host", "labels", PLAIN.replace(b"testserver", filled("a.").encode())),
    ("Origin", "of a session's POST", post(wire.STATS, b"", SESSION, "Origin: " + filled("http://["), length=False)),
    ("Referer", "over TLS", post(wire.STATS, b"", SESSION, "X-Forwarded-Proto: https", "Referer: https://" + filled("a@"), length=False)),
    ("X-CSRFToken", "long", post(wire.STATS, b"", SESSION, "X-CSRFToken: " + filled("\\"), length=False)),
    ("X-Forwarded-For", "trusted addresses", header("X-Forwarded-For", "127.0.0.1,")),
    ("If-None-Match", "of the description", get("If-None-Match: " + filled('W/"x",'), target="/api/admin/openapi.json")),
    ("X-Request-ID", "long", header("X-Request-ID", "x")),
    ("Access-Control-Request-Headers", "names", get("Origin: https://x", "Access-Control-Request-Method: GET",
                                                     "Access-Control-Request-Headers: " + filled("x,"), method="OPTIONS")),
    ("Connection", "options", get("Connection: " + filled("Upgrade,"), "Upgrade: h2c")),
    ("Content-Type", "parameters, of a login", post("/api/login/", b"", "Content-Type: " + filled("a/b;c=d;"))),
    ("body", "a form of 2.6 MB, of a user who is no staff", post(wire.STATS, b"a=b&" * 650_000, SESSION, FORM)),
    ("body", "2.6 MB of JSON, of a user who is no staff",
     post(wire.STATS, b"[" * 2_600_000, SESSION, f"X-CSRFToken: {TOKEN}", "Content-Type: application/json")),
    ("body", "in chunks of a byte", post(wire.STATS, chunked(b"x" * 20_000, 1), CHUNKED, length=False)),
    ("body of login", "a long name", login(named(LONGEST, 16_000))),
    ("body of login", "nested", login(b"[" * 16_000)),
    ("body of login", "too large", login(b"x" * 2_600_000)),
    ("body of login", "in small chunks", post("/api/login/", chunked(b" " * 16_000, 16), CHUNKED, "Content-Type: application/json", length=False)),
    ("body of login", "half of it", login(named("x", 16_000))[:-1]),
    ("body of the form", "999 fields", login(b"username=%ff%ff&" * 999, "application/x-www-form-urlencoded").replace(b"/api/login/", LOGIN_FORM.encode())),
    ("body of logout", "of another type", post("/api/logout/", b"x" * 2_600_000, FORM)),
    ("body of logout", "a chunk that does not come", post("/api/logout/", b"", CHUNKED, FORM, length=False)),
    ("pipelining", "200 requests", PLAIN * 200),
]


class Costs(Scenario):
    """A user who is no staff and is logged in; passwords that cost nothing, of which any number may be wrong."""

    def __init__(self):
        super().__init__("sqlite", users=EXPORTED_USERS, settings={"DJANGO_PBKDF2_ITERATIONS": "1", "SIDECAR_LOG": "warn"})

    def before_start(self):
        [[password]] = self.execute("SELECT password FROM auth_user WHERE id = 2")
        session = django_sessions.session_data(django_sessions.login_data(2, password))
        self.execute(f"INSERT INTO django_session VALUES ('{PLAIN_KEY}', '{session}', '2100-01-01 00:00:00')")

    def processor_seconds(self):
        # The clock that clock_getcpuclockid(3) names.
        return time.clock_gettime(~self.sidecar.process.pid << 3 | 2)

    def connected(self):
        return socket.create_connection(("127.0.0.1", self.sidecar.port), 20)

    def processor(self, data, times):
        """Milliseconds of processor that one request takes, and the status of its answer."""
        used = self.processor_seconds()
        status = None
        for _ in range(times):
            with self.connected() as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # Refused before all of it was read; the answer is there.
                status = first_status(connection)
        return 1000 * (self.processor_seconds() - used) / times, status

    def memory(self, data):
        """The most MiB above idle while this number of strangers send this at once and read nothing."""
        idle = highest = self.process.memory()
        connections = [self.connected() for _ in range(STRANGERS)]
        rest = {connection: memoryview(data) for connection in connections}
        with selectors.DefaultSelector() as selector:
            for connection in connections:
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_WRITE)
            ending = time.monotonic() + 3
            # A body that is not read is not taken either.
            while rest and time.monotonic() < ending:
                for key, _ in selector.select(0.01):
                    connection = key.fileobj
                    try:
                        rest[connection] = rest[connection][connection.send(rest[connection][:65_536]):]
                    except BlockingIOError:
                        continue
                    except ConnectionError:
                        rest[connection] = b""
                    if not rest[connection]:
                        selector.unregister(connection)
                        del rest[connection]
                highest = max(highest, self.process.memory())
            for _ in range(10):
                time.sleep(0.02)
                highest = max(highest, self.process.memory())
        for connection in connections:
            connection.close()
        return (highest - idle) / 1024


def first_status(connection):
    """The first answer's; all else is read as well, until the other side closes."""
    answer = b""
    try:
        while piece := connection.recv(1 << 16):
            answer = answer or piece
    except ConnectionError:
        pass
    return int(answer.split(b" ")[1]) if answer else None


def all_costs(scenario, times):
    """(input, at its most expensive, status, milliseconds, MiB above idle) of each input."""
    scenario.processor(PLAIN, 5 * times)
    inputs = [("none", "the plainest refusal", PLAIN), *INPUTS]
    # First all of the one, then all of the other: what strangers leave behind is work as well.
    processor = [scenario.processor(data, times) for *_, data in inputs]
    for (what, how, data), (milliseconds, status) in zip(inputs, processor):
        yield what, how, status, milliseconds / (200 if what == "pipelining" else 1), scenario.memory(data)
