"""The shape of cookiecutter-django: a user with one name, allauth with its second factor, Argon2, sessions and tokens."""

from common import *

INSTALLED_APPS += [
    "django.contrib.sites", "allauth", "allauth.account", "allauth.mfa", "allauth.socialaccount", "rest_framework.authtoken",
    "cookiecutter",
]
MIDDLEWARE.insert(2, "django.middleware.locale.LocaleMiddleware")
MIDDLEWARE.append("allauth.account.middleware.AccountMiddleware")
ROOT_URLCONF = "cookiecutter.urls"
SITE_ID = 1
AUTH_USER_MODEL = "cookiecutter.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
]
LOGIN_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
SESSION_COOKIE_NAME = "__Secure-sessionid"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATABASES["default"]["ATOMIC_REQUESTS"] = True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": (
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ),
    "DEFAULT_PERMISSION_CLASSES": ("rest_framework.permissions.IsAuthenticated",),
}
