"""A project served by gunicorn."""

import contextlib
import socket
import subprocess

from projects import environment
from support import environments
from support.ports import free_port
from support.waiting import await_true

HOST = "127.0.0.1"
START_SECONDS = 60


@contextlib.contextmanager
def django(project, url, directory, **variables):
    """Serves the project, whose database is prepared; its port."""
    port = free_port()
    program = environments.programs("projects", environment.PACKAGES) / "python"
    log = directory / "django.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [
                program, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--threads", "4",
                "django.core.wsgi:get_wsgi_application()",
            ],
            env=environment.variables(project, url, **variables), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )
    try:
        await_true(lambda: answers(process, port), START_SECONDS, log.read_text)
        yield port
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def answers(process, port):
    assert process.poll() is None
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False
