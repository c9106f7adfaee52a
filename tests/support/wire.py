"""Requests and answers as bytes on a socket, so that no HTTP library changes headers, target or body."""

import socket
from dataclasses import dataclass, field

EXPORT = "/api/admin/export-users/"
STATS = "/api/admin/export-stats/"
# The Host header for both servers; their ports differ.
HOST = "testserver"
TIMEOUT_SECONDS = 20


def encoded(text):
    """Header text as bytes: one byte per character, as header bytes are; anything beyond Latin-1 as UTF-8."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


@dataclass
class Request:
    """One request; `raw` replaces all of it."""

    method: str = "GET"
    target: str | bytes = STATS
    headers: list = field(default_factory=list)
    body: bytes = b""
    host: str | bytes | None = HOST
    version: str = "HTTP/1.1"
    raw: bytes | None = None

    def bytes(self):
        if self.raw is not None:
            return self.raw
        lines = [encoded(self.method) + b" " + encoded(self.target) + b" " + encoded(self.version)]
        if self.host is not None:
            lines.append(b"Host: " + encoded(self.host))
        lines += [encoded(name) + b": " + encoded(value) for name, value in self.headers]
        if self.body:
            lines.append(b"Content-Length: %d" % len(self.body))
        lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


def get(target=STATS, *headers, cookie=None, auth=None, **more):
    """A request with the usual headers: `cookie` and `auth` are the values of Cookie and Authorization."""
    headers = list(headers)
    if cookie is not None:
        headers.append(("Cookie", cookie))
    if auth is not None:
        headers.append(("Authorization", auth))
    return Request(target=target, headers=headers, **more)


@dataclass
class Answer:
    version: str
    status: int
    reason: str
    headers: list
    body: bytes

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name):
        values = self.all(name)
        return ", ".join(values) if values else None


def ask(port, request):
    """Sends the request and reads one answer, up to its Content-Length or the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(request.bytes())
        except ConnectionError:
            pass  # A server may refuse and close before it has read everything; its answer is still there to read.
        return read_answer(connection, request.method)


def read_answer(connection, method):
    received = b""
    while True:
        head, found, rest = received.partition(b"\r\n\r\n")
        if found and complete(head, rest, method):
            break
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            break
        received += more
    return parse(received)


def complete(head, rest, method):
    if method == "HEAD":
        return True
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(rest) >= int(lengths[0])


def parse(received):
    head, found, body = received.partition(b"\r\n\r\n")
    assert found, f"not an HTTP answer: {received[:200]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, reason = (first + "  ").split(" ", 2)
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
    answer = Answer(version, int(status), reason.strip(), headers, body)
    if "chunked" in [value.lower() for value in answer.all("Transfer-Encoding")]:
        answer.body = dechunked(body)
    return answer


def dechunked(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole
