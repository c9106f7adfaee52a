"""The settings script in each project: what it writes, and what it warns of."""

import json

import pytest

from deploy.sample_project import sourced
from projects import environment

MODEL = "django.contrib.auth.backends.ModelBackend"
ALLAUTH = "allauth.account.auth_backends.AuthenticationBackend"
SESSION = {"kind": "session", "csrf": True, "challenge": None}
BASIC = {"kind": "basic", "challenge": 'Basic realm="api"'}
TOKEN = {"kind": "token", "keyword": "Token", "table": "authtoken_token", "key": "key", "user": "user_id", "challenge": "Token"}
NOT_RUN = "MIDDLEWARE has "
LOCALE = "LocaleMiddleware or LANGUAGE_CODE"


def left(path, challenge, schemes, parameters=()):
    return {"kind": "django", "class": path, "schemes": list(schemes), "headers": [], "cookies": [],
            "parameters": list(parameters), "challenge": challenge}


def backend(path, *names):
    return {"backend": path, "names": list(names)}


TABLE = "The sidecar's role must read the table of tokens, authtoken_token (part 3 of deploy/grants-*.sql)"
# What differs from a project of startproject, as Python values where the text is JSON; and how the warnings begin.
EXPECTED = {
    "cookiecutter": (
        {
            "DJANGO_USER_FIELDS_NONE": ["first_name", "last_name"], "DJANGO_SESSION_COOKIE_NAME": "__Secure-sessionid",
            "DJANGO_SESSION_COOKIE_SECURE": "true", "DJANGO_AUTHENTICATION_BACKENDS": [MODEL, ALLAUTH],
            "DJANGO_PASSWORD_BACKENDS": [backend(MODEL, "username"), backend(ALLAUTH, "username-any-case")],
            "DJANGO_SECOND_FACTOR": ["allauth.mfa"], "DJANGO_REST_AUTHENTICATION": [SESSION, TOKEN],
            "DJANGO_LOGIN_URL": "/accounts/login/",
        },
        ["ACCOUNT_EMAIL_VERIFICATION is", "The project asks for a second factor (allauth.mfa)", TABLE, LOCALE,
         NOT_RUN + "allauth.account"],
    ),
    "email_login": (
        {
            "DJANGO_USERNAME_FIELD": "email", "DJANGO_USER_FIELDS_NONE": ["username"],
            "DJANGO_AUTHENTICATION_BACKENDS": [ALLAUTH], "DJANGO_PASSWORD_BACKENDS": [backend(ALLAUTH, "email")],
            "DJANGO_LOGIN_URL": "/accounts/login/",
        },
        [f"AUTHENTICATION_BACKENDS has {ALLAUTH}, which takes e-mail addresses", NOT_RUN + "allauth.account"],
    ),
    "guardian_first": (
        {
            "DJANGO_AUTHENTICATION_BACKENDS": [
                "guardian.backends.ObjectPermissionBackend", "axes.backends.AxesStandaloneBackend", MODEL],
            "DJANGO_PASSWORD_BACKENDS": [backend(MODEL, "username")], "DJANGO_LOCKOUT": ["axes"],
        },
        ["The project locks accounts or addresses after failed logins (axes)", NOT_RUN + "axes.middleware.AxesMiddleware"],
    ),
    "token_first": (
        {
            "DJANGO_REST_AUTHENTICATION": [
                TOKEN, TOKEN | {"keyword": "Bearer", "challenge": "Bearer"}, SESSION | {"csrf": False}],
        },
        [TABLE],
    ),
    "own_handler": (
        {"DJANGO_SESSION_COOKIE_SAMESITE": "strict"},
        ["export-users and export-stats: a client that asks for text/plain or ?format=txt", LOCALE,
         NOT_RUN + "own_handler.middleware.RegionMiddleware, own_handler.middleware.RegionCommonMiddleware:"],
    ),
    "cached_db": (
        {
            "DJANGO_SESSION_COOKIE_PATH": "/shop", "DJANGO_SESSION_COOKIE_SAMESITE": "lax",
            "DJANGO_LOGIN_URL": "/shop/admin/login/", "SIDECAR_MOUNT": "/shop/api/admin", "SIDECAR_LOGIN_MOUNT": "/shop/api",
        },
        ["SESSION_ENGINE is cached_db"],
    ),
    "local_time": (
        {"DJANGO_USE_TZ": "false", "DJANGO_TIME_ZONE": "Europe/Berlin", "DJANGO_APPEND_SLASH": "false"}, [],
    ),
    "web_tokens": (
        {
            "DJANGO_REST_AUTHENTICATION": [
                left("rest_framework_simplejwt.authentication.JWTAuthentication", 'Bearer realm="api"', ["Bearer"]),
                left("knox.auth.TokenAuthentication", "Token", ["Token"]), SESSION],
        },
        ["The proxy must leave requests to Django that have a header Authorization of any scheme: "],
    ),
    "oauth2": (
        {
            "DJANGO_REST_AUTHENTICATION": [
                SESSION,
                left("oauth2_provider.contrib.rest_framework.authentication.OAuth2Authentication", 'Bearer realm="api"',
                     ["Bearer"], ["access_token"]),
                BASIC],
        },
        ["The proxy must leave requests to Django that have a header Authorization of any scheme but Basic, or the parameter "
         "access_token: "],
    ),
}
PLAIN = {
    "DJANGO_USERNAME_FIELD": "username", "DJANGO_SESSION_COOKIE_NAME": "sessionid", "DJANGO_SESSION_COOKIE_AGE": "1209600",
    "DJANGO_SESSION_COOKIE_PATH": "/", "DJANGO_SESSION_COOKIE_SECURE": "false", "DJANGO_SESSION_COOKIE_HTTPONLY": "true",
    "DJANGO_SESSION_COOKIE_SAMESITE": "Lax", "DJANGO_AUTHENTICATION_BACKENDS": [MODEL],
    "DJANGO_REST_AUTHENTICATION": "session,basic", "DJANGO_ALLOWED_HOSTS": ["127.0.0.1", "localhost"], "DJANGO_DEBUG": "false",
    "DJANGO_USE_TZ": "true", "DJANGO_TIME_ZONE": "UTC", "DJANGO_APPEND_SLASH": "true", "DJANGO_LOGIN_URL": "/admin/login/",
    "DJANGO_PBKDF2_ITERATIONS": "1000000", "SIDECAR_MOUNT": "/api/admin", "DJANGO_SECRET_KEY_FALLBACKS": [],
    "DJANGO_SECRET_KEY": "the key of a project that exists for tests alone",
}


def value(text):
    return json.loads(text) if text[:1] in "[{" else text


@pytest.mark.parametrize("project", EXPECTED)
def test_the_script_writes_what_the_project_needs(project, tmp_path):
    # No server is asked.
    url = f"sqlite:///{tmp_path}/db.sqlite3" if project != "local_time" else "mysql://user:word@127.0.0.1:3306/shop"
    file = tmp_path / "sidecar.env"
    done = environment.write_environment(project, url, file)
    assert done.returncode == 0, done.stderr
    variables, warnings = EXPECTED[project]
    found = {name: value(text) for name, text in sourced(file).items()}
    assert found == PLAIN | {"DATABASE_URL": url, "DJANGO_USER_TABLE": f"{project}_user"} | variables
    lines = done.stderr.splitlines()
    assert [line.startswith(f"warning: {text}") for line, text in zip(lines, warnings, strict=True)] == [True] * len(warnings), lines
    assert not (tmp_path / "db.sqlite3").exists()
