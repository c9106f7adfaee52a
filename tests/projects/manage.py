"""Django's commands: DJANGO_SETTINGS_MODULE names the project, PYTHONPATH has this folder and tests/django_project."""

import sys

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
