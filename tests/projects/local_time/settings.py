"""MariaDB or MySQL, with local time in the columns."""

from common import *

INSTALLED_APPS += ["local_time"]
AUTH_USER_MODEL = "local_time.User"
MIGRATION_MODULES = {"local_time": "plain_user.migrations"}
USE_TZ = False
TIME_ZONE = "Europe/Berlin"
APPEND_SLASH = False
