"""Settings of the reference project: `startproject`'s own, with what a test varies taken from the environment.

ORACLE_DATABASE_URL  the database: sqlite:////path, postgres://..., mysql://...
ORACLE_SETTINGS      a JSON object of further settings by Django's own names, such as {"DEBUG": true}
ORACLE_LOG_FILE      the customer's watchtower.log
ORACLE_USER_MODEL    the shape of the user model; see accounts/variant.py
"""

import json
import os
from pathlib import Path

from accounts import variant
from reference.database import from_url

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "reference-secret-key"
DEBUG = False
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "accounts",
]
if variant.TOKENS:
    INSTALLED_APPS.append("rest_framework.authtoken")
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "reference.urls"
WSGI_APPLICATION = "reference.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"

DATABASES = {"default": from_url(os.environ["ORACLE_DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
# Django's default hashers and BCrypt, each at the cost that reference/hashers.py gives it.
PASSWORD_HASHERS = [
    "reference.hashers.PBKDF2PasswordHasher",
    "reference.hashers.PBKDF2SHA1PasswordHasher",
    "reference.hashers.Argon2PasswordHasher",
    "reference.hashers.BCryptSHA256PasswordHasher",
    "reference.hashers.ScryptPasswordHasher",
    "reference.hashers.BCryptPasswordHasher",
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "file": {
            "level": "INFO",
            "class": "logging.FileHandler",
            "filename": os.environ.get("ORACLE_LOG_FILE", os.devnull),
        },
    },
    "loggers": {
        "api.views.admin.admin_views": {"handlers": ["file"], "level": "INFO", "propagate": True},
    },
}

globals().update(json.loads(os.environ.get("ORACLE_SETTINGS", "{}")))
