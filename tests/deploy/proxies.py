"""Starts the real nginx or Caddy with the files of `deploy/`, on free ports, apart from the system's service.

What a test replaces in those files is what an operator replaces: the sidecars' addresses, and which lines are comments.
"""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

from support import clusters
from support.environments import REPOSITORY
from support.ports import free_port

DEPLOY = REPOSITORY / "deploy"
START_SECONDS = 10
THE_ONE_LINE = {"nginx": "include watchtower-sidecar.conf;", "caddy": "import watchtower_sidecar\n"}


def uncommented(text, *lines):
    """The text with these lines in force."""
    for line in lines:
        assert text.count(f"# {line}") == 1, f"{line!r} is no comment there, or more than one"
        text = text.replace(f"# {line}", line)
    return text


def leaving_credentials_to_django(kind):
    """The edit by which Django answers requests with credentials that the sidecar does not read."""

    def nginx(text):
        shipped = "    proxy_pass http://watchtower_sidecar;\n"
        assert shipped in text
        return uncommented(text.replace(shipped, ""), "proxy_pass http://$watchtower_server;")

    def caddy(text):
        shipped = "\t@watchtower_sidecar path /api/admin/*\n"
        block = re.search(r"\t# @watchtower_sidecar \{\n(\t# .*\n)+?\t# \}\n", text)[0]
        assert shipped in text
        return text.replace(shipped, "").replace(block, block.replace("\t# ", "\t"))

    return {"nginx": nginx, "caddy": caddy}[kind]


class Proxy:
    """A running proxy: everything to `django`, what deploy/ says to `sidecars`; all are ports.

    `edit` is a function over the text of the deploy file, as an operator edits it.
    """

    def __init__(self, directory, django, sidecars, edit=None, upstream_edit=None):
        self.program = clusters.program(self.name)
        self.directory = Path(directory) / f"{self.name}-{free_port()}"
        self.directory.mkdir(mode=0o711)
        self.port = free_port()
        self.django = django
        self.sidecars = sidecars
        self.edit = edit or (lambda text: text)
        self.upstream_edit = upstream_edit or (lambda text: text)
        self.environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.directory)}
        self.configure()
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.name} did not start: {self.last_words()}")
            time.sleep(0.02)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def last_words(self):
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    def switch(self, on):
        """Takes the one line out, or puts it back, and reloads as an operator does."""
        line, text = THE_ONE_LINE[self.name], self.configuration.read_text()
        assert text.count(line) == 1
        text = text.replace(f"# {line}", line)
        self.configuration.write_text(text if on else text.replace(line, f"# {line}"))
        done = subprocess.run(
            self.reload_command(), cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )
        assert done.returncode == 0, done.stderr

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Nginx(Proxy):
    name = "nginx"

    def configure(self):
        text = (DEPLOY / "nginx.conf").read_text()
        (self.directory / "watchtower-sidecar.conf").write_text(self.edit(text))
        text = (DEPLOY / "nginx-upstream.conf").read_text()
        shipped = "    server 127.0.0.1:8000 "
        [line] = [line for line in text.splitlines(True) if line.startswith(shipped)]
        text = text.replace(line, "".join(line.replace(":8000", f":{port}") for port in self.sidecars))
        (self.directory / "upstream.conf").write_text(self.upstream_edit(text).replace(":8001", f":{self.django}"))
        account = clusters.account("www-data")
        temporary = "".join(
            f"    {kind}_temp_path {self.directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.configuration = self.directory / "nginx.conf"
        # What an operator has: a server block that sends everything to Django, and now includes one file more.
        self.configuration.write_text(
            (f"user {account.pw_name};\n" if account else "")
            + f"daemon off;\nworker_processes 1;\npid {self.directory}/pid;\n"
            + f"error_log stderr;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}    include upstream.conf;\n"
            + f"    server {{\n        listen 127.0.0.1:{self.port};\n        location / {{\n"
            + f"            proxy_pass http://127.0.0.1:{self.django};\n            proxy_set_header Host $http_host;\n"
            + f"        }}\n        {THE_ONE_LINE['nginx']}\n    }}\n}}\n"
        )

    def arguments(self):
        return [self.program, "-p", str(self.directory), "-e", "stderr", "-c", str(self.configuration)]

    def command(self):
        return self.arguments()

    def reload_command(self):
        return [*self.arguments(), "-s", "reload"]


class Caddy(Proxy):
    name = "caddy"

    def configure(self):
        self.admin = f"127.0.0.1:{free_port()}"
        self.environment |= {
            "WATCHTOWER_SITE": f"http://:{self.port}",
            "WATCHTOWER_DJANGO": f"127.0.0.1:{self.django}",
            "WATCHTOWER_SIDECARS": " ".join(f"127.0.0.1:{port}" for port in self.sidecars),
        }
        self.configuration = self.directory / "Caddyfile"
        text = (DEPLOY / "Caddyfile").read_text()
        self.configuration.write_text(f"{{\n\tadmin {self.admin}\n}}\n" + self.edit(text))

    def arguments(self, verb):
        return [self.program, verb, "--config", str(self.configuration), "--adapter", "caddyfile"]

    def command(self):
        return self.arguments("run")

    def reload_command(self):
        return [*self.arguments("reload"), "--address", self.admin]


KINDS = {"nginx": Nginx, "caddy": Caddy}
