"""Sessions in the cache and the database, the application below a path, and pages of a CMS for every other path."""

from common import *

INSTALLED_APPS += ["cached_db"]
AUTH_USER_MODEL = "cached_db.User"
MIGRATION_MODULES = {"cached_db": "plain_user.migrations"}
ROOT_URLCONF = "cached_db.urls"
FORCE_SCRIPT_NAME = "/shop"
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_PATH = "/shop"
SESSION_COOKIE_SAMESITE = "lax"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
