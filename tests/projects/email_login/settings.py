"""A user without a name, who logs in by e-mail through allauth alone, and has a UUID."""

from common import *

INSTALLED_APPS += ["django.contrib.sites", "allauth", "allauth.account", "email_login"]
MIDDLEWARE.append("allauth.account.middleware.AccountMiddleware")
ROOT_URLCONF = "email_login.urls"
SITE_ID = 1
AUTH_USER_MODEL = "email_login.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "/accounts/login/"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
