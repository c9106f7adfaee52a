"""JSON web tokens first, knox's tokens, then sessions: what DRF's authenticators lack is left to Django."""

from common import *

INSTALLED_APPS += ["rest_framework_simplejwt", "knox", "web_tokens"]
AUTH_USER_MODEL = "web_tokens.User"
MIGRATION_MODULES = {"web_tokens": "plain_user.migrations"}
ROOT_URLCONF = "web_tokens.urls"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "knox.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
}
