"""`python -m reference.prepare`: Django's own `migrate` on the database of ORACLE_DATABASE_URL, then the seed rows.

With `--schema-only` no seed rows; with `--seed-only` no migration.
"""

import os
import sys

import django
from django.core.management import call_command


def main(arguments):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reference.settings")
    django.setup()
    from accounts.seed import seed

    if "--seed-only" not in arguments:
        call_command("migrate", verbosity=0, interactive=False)
    if "--schema-only" not in arguments:
        seed()


if __name__ == "__main__":
    main(sys.argv[1:])
