"""In the folder of a Django project, `python -m watchtower_sidecar settings` writes the sidecar's environment file.

It runs django-settings.py in the project's shell, as `python manage.py shell < django-settings.py` does: with manage.py, or
without one with DJANGO_SETTINGS_MODULE. The script's options are environment variables; its docstring lists them.
"""

import os
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("django-settings.py")
USAGE = """\
usage: (umask 077; python -m watchtower_sidecar settings > sidecar.env)

In the folder of a Django project, writes watchtower-sidecar's environment file to standard output. Settings that the
sidecar can't honour are named on standard error; then nothing is written, and the exit code is 1. Environment variables:
  SIDECAR_OUTPUT=/path       write the file there, readable by its owner alone
  SIDECAR_SECRETS_DIR=/path  keep the secrets in files there, which the environment file names
The program itself is the command watchtower-sidecar."""
NO_PROJECT = """\
There is no manage.py in this folder, and DJANGO_SETTINGS_MODULE is not set: run this in the folder of the Django project."""
# Django's shell prints nothing of its own at this verbosity.
SHELL = ["shell", "-v", "0"]


def main(arguments):
    """Runs the script in place of this process; returns an exit code if it does not."""
    if arguments in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if arguments != ["settings"]:
        print(USAGE, file=sys.stderr)
        return 2
    if Path("manage.py").is_file():
        command = ["manage.py", *SHELL]
    elif os.environ.get("DJANGO_SETTINGS_MODULE"):
        command = ["-m", "django", *SHELL]
    else:
        print(NO_PROJECT, file=sys.stderr)
        return 1
    with SCRIPT.open("rb") as script:
        os.dup2(script.fileno(), 0)
    os.execv(sys.executable, [sys.executable, *command])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
