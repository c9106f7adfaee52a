"""cookiecutter-django's shape, where people log in by e-mail address or by their name in lower case."""

from cookiecutter.settings import *

ACCOUNT_LOGIN_METHODS = {"email", "username"}
ACCOUNT_PRESERVE_USERNAME_CASING = False
