"""Servers in place of a sidecar, which record what a proxy sends."""

import socketserver
import threading
from http.server import BaseHTTPRequestHandler

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"


class Stub:
    """`with Stub(answer) as stub`: sends these bytes to every request, or breaks off where they are empty. `stub.seen`
    holds (method, target, version, headers) of each but health checks; `stub.port` is where it listens."""

    def __init__(self, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
        self.seen = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/healthz":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    return
                stub.seen.append((self.command, self.path, self.request_version, self.headers))
                self.close_connection = not answer
                self.wfile.write(answer)

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                """Says nothing."""

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.05])
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
