"""An exception handler that changes validation errors alone, a renderer behind the browsable API, and German first."""

from common import *

INSTALLED_APPS += ["own_handler"]
MIDDLEWARE.insert(2, "own_handler.middleware.RegionMiddleware")
MIDDLEWARE[3] = "own_handler.middleware.RegionCommonMiddleware"
AUTH_USER_MODEL = "own_handler.User"
MIGRATION_MODULES = {"own_handler": "plain_user.migrations"}
LANGUAGE_CODE = "de"
SESSION_COOKIE_SAMESITE = "strict"
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "own_handler.errors.handle",
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
        "own_handler.renderers.TextRenderer",
    ],
}
