"""OAuth2's tokens between sessions and passwords."""

from common import *

INSTALLED_APPS += ["oauth2_provider", "oauth2"]
AUTH_USER_MODEL = "oauth2.User"
MIGRATION_MODULES = {"oauth2": "plain_user.migrations"}
ROOT_URLCONF = "oauth2.urls"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "oauth2_provider.contrib.rest_framework.OAuth2Authentication",
        "rest_framework.authentication.BasicAuthentication",
    ],
}
