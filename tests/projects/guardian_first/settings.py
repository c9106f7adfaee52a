"""Permissions by object, whose backend comes first and has no get_user, and axes, which locks accounts."""

from common import *

INSTALLED_APPS += ["guardian", "axes", "guardian_first"]
MIDDLEWARE.append("axes.middleware.AxesMiddleware")
AUTH_USER_MODEL = "guardian_first.User"
MIGRATION_MODULES = {"guardian_first": "plain_user.migrations"}
AUTHENTICATION_BACKENDS = [
    "guardian.backends.ObjectPermissionBackend",
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
ANONYMOUS_USER_NAME = None
# The tests send more wrong passwords than a person does. The sidecar neither obeys nor adds to the locks.
AXES_FAILURE_LIMIT = 1000
