"""Clients of either server: one on a connection, and one with a session's cookie."""

import json
import socket

from support.passwords import PASSWORD
from support.wire import EXPORT, Request, ask, get, read_answer

# After this time without an answer a client gives up.
LOST_SECONDS = 15


class Client:
    """A client that keeps its connection, or opens one for each request."""

    def __init__(self, port, keeps):
        self.port = port
        self.keeps = keeps
        self.connection = None

    def ask(self, request):
        whole = request.bytes()
        if not self.keeps:
            with self.connected() as connection:
                return self.exchange(connection, whole, request.method)
        whole = whole.replace(b"Connection: close\r\n", b"")
        fresh = self.connection is None
        self.connection = self.connection or self.connected()
        try:
            return self.exchange(self.connection, whole, request.method)
        except (OSError, AssertionError):
            self.close()
            if fresh:
                raise
            # The server may have closed it between two requests.
            return self.ask(request)

    def connected(self):
        return socket.create_connection(("127.0.0.1", self.port), LOST_SECONDS)

    def exchange(self, connection, whole, method):
        connection.sendall(whole)
        answer = read_answer(connection, method)
        if self.keeps and answer.one("Connection") == "close":
            self.close()
        return answer

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class SessionClient:
    """A client of one server, which logs in and sends the session's cookie."""

    def __init__(self, server, cookie_name="sessionid"):
        self.server = server
        self.cookie_name = cookie_name

    def post(self, target, cookie=None, body=b""):
        headers = [("Content-Type", "application/json")]
        if cookie:
            headers.append(("Cookie", f"{self.cookie_name}={cookie}"))
        return ask(self.server.port, Request("POST", target, headers, body))

    def log_in(self, username="clerk", password=PASSWORD, cookie=None):
        body = json.dumps({"username": username, "password": password}).encode()
        return self.post("/api/login/", cookie, body)

    def key_of(self, answer):
        assert answer.status == 200, answer.body
        cookies = [value for value in answer.all("Set-Cookie") if value.startswith(f"{self.cookie_name}=")]
        return cookies[0].split(";")[0].split("=", 1)[1]

    def status(self, cookie, target=EXPORT):
        return ask(self.server.port, get(target, cookie=f"{self.cookie_name}={cookie}")).status
