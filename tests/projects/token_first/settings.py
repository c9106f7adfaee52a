"""Tokens before sessions, under DRF's keyword and under another one."""

from common import *

INSTALLED_APPS += ["rest_framework.authtoken", "token_first"]
AUTH_USER_MODEL = "token_first.User"
MIGRATION_MODULES = {"token_first": "plain_user.migrations"}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "token_first.authentication.BearerAuthentication",
        "token_first.authentication.CsrfExemptSessionAuthentication",
    ],
}
