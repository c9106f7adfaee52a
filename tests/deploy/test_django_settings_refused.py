"""What `deploy/django-settings.py` refuses, a sentence each and nothing else, and what it only warns of: every variation is
a settings module of one live project."""

import concurrent.futures
import json

import pytest

from deploy import sample_project

# name: settings, and how each refusal begins or goes on
REFUSED = {
    "sessions": (
        """
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_SERIALIZER = "shop.odd.Serializer"
SESSION_SAVE_EVERY_REQUEST = True
SESSION_COOKIE_NAME, SESSION_COOKIE_AGE, SESSION_COOKIE_PATH = "a b", 0, ""
MIDDLEWARE.remove("django.contrib.sessions.middleware.SessionMiddleware")
""",
        ["SESSION_ENGINE is django.contrib.sessions.backends.signed_cookies", "SESSION_SERIALIZER is shop.odd.Serializer",
         "SESSION_SAVE_EVERY_REQUEST is set", "SESSION_COOKIE_NAME holds", "SESSION_COOKIE_AGE is no", "SESSION_COOKIE_PATH or",
         "MIDDLEWARE has neither django.contrib.sessions.middleware"],
    ),
    "middleware": (
        """
for kind, name in (("sessions", "Session"), ("auth", "Authentication")):
    MIDDLEWARE[MIDDLEWARE.index(f"django.contrib.{kind}.middleware.{name}Middleware")] = f"shop.own_middleware.{name}"
""",
        ["shop.own_middleware.Session decides by itself who is logged in",
         "shop.own_middleware.Authentication decides by itself who is logged in"],
    ),
    "cache": ('SESSION_ENGINE = "django.contrib.sessions.backends.cache"', ["SESSION_ENGINE is django.contrib.sessions"]),
    "file": ('SESSION_ENGINE = "django.contrib.sessions.backends.file"', ["SESSION_ENGINE is django.contrib.sessions"]),
    "own_engine": ('SESSION_ENGINE = "shop.sessions"', ["SESSION_ENGINE is shop.sessions"]),
    "own_hash": (
        'INSTALLED_APPS += ["odd"]\nAUTH_USER_MODEL = "odd.OwnHash"',
        ["odd.models.Mixin.get_session_auth_hash is the project's own", "odd.models.Check.check_password is the project's"],
    ),
    "routers": ('DATABASE_ROUTERS = ["shop.odd.Router"]', ["DATABASE_ROUTERS is set"]),
    "no_authenticator": (
        'REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": []}',
        ["export-users and export-stats: authentication_classes is empty"],
    ),
    "framework": (
        """
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "shop.odd.handler", "COMPACT_JSON": False, "UNICODE_JSON": False, "URL_FORMAT_OVERRIDE": "f",
    "DEFAULT_RENDERER_CLASSES": ["shop.odd.Renderer"], "DEFAULT_CONTENT_NEGOTIATION_CLASS": "shop.odd.Negotiation"}
""",
        ["REST_FRAMEWORK's COMPACT_JSON", "REST_FRAMEWORK's UNICODE_JSON", "REST_FRAMEWORK's URL_FORMAT_OVERRIDE",
         *(f"export-users and export-stats: the {what}" for what in (
             "exception handler shop.odd.handler does not answer", "renderers are shop.odd.Renderer",
             "content negotiation is the project's own, shop.odd.Negotiation"))],
    ),
    "browsable_first": (
        """
REST_FRAMEWORK = {"DEFAULT_RENDERER_CLASSES": [
    "rest_framework.renderers.BrowsableAPIRenderer", "rest_framework.renderers.JSONRenderer"]}
""",
        ["export-users and export-stats: the renderers are"],
    ),
    "views": (
        'ROOT_URLCONF = "shop.other_views"',
        ["export-users: the permissions are not", "export-users: other methods than GET and OPTIONS",
         "export-stats: this is no view of Django REST framework", "The two views live under different paths: /a, /b"],
    ),
    "views_differ": (
        'ROOT_URLCONF = "shop.different_views"',
        ["The two views have different authenticators", "export-stats: the renderers are rest_framework.renderers.Static"],
    ),
    "broken": ('ROOT_URLCONF = "shop.broken_urls"', ["ROOT_URLCONF can't be read: ZeroDivisionError"]),
    "columns": (
        'INSTALLED_APPS += ["odd"]\nAUTH_USER_MODEL = "odd.Columns"',
        ["odd.Columns's db_table holds a schema", "odd.Columns's primary key is nick, a CharField",
         "odd.Columns.is_staff is no field", "odd.Columns.is_active is no field", "odd.Columns.email has another column, mail",
         "odd.Columns.first_name is a Sealed", "odd.Columns.date_joined is a DateField",
         "odd.Columns.is_movie_user is no field", "odd.Columns has no manager objects"],
    ),
    "child": (
        'INSTALLED_APPS += ["odd"]\nAUTH_USER_MODEL = "odd.Child"',
        ["odd.Child's primary key is base_ptr, a OneToOneField",
         *(f"odd.Child.{name} is in another table, odd_base" for name in (
             "password", "is_active", "is_staff", "username", "email", "first_name", "last_name", "date_joined"))],
    ),
    "hidden": (
        'INSTALLED_APPS += ["odd"]\nAUTH_USER_MODEL = "odd.Hidden"',
        ["odd.Hidden.objects hides some users", "odd.Hidden._default_manager hides some users"],
    ),
    "hashers": (
        'PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]',
        ["PASSWORD_HASHERS begins with django.contrib.auth.hashers.MD5PasswordHasher"],
    ),
    "costly": ('PASSWORD_HASHERS = ["shop.odd.Costly"]', ["shop.odd.Costly has 10000001 iterations"]),
    "backend": ('PASSWORD_HASHERS = ["shop.nowhere.Hasher"]', ["PASSWORD_HASHERS can't be read: ModuleNotFoundError"]),
    "databases": (
        """
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "TIME_ZONE": "Europe/Berlin"},
    "replica": {"ENGINE": "django.db.backends.oracle", "NAME": "x"},
}
""",
        ["DATABASES['default'][\"TIME_ZONE\"] is Europe/Berlin", "DATABASES['default'][\"NAME\"] is no plain path",
         "DATABASES['replica'] can't be used"],
    ),
    "dummy": ('DATABASES = {"default": {}}', ["DATABASES['default'] is django.db.backends.dummy"]),
    "no_key": ('SECRET_KEY = ""', ["SECRET_KEY can't be read: ImproperlyConfigured"]),
    "keys": ('SECRET_KEY_FALLBACKS = ["old", ""]', ["SECRET_KEY or SECRET_KEY_FALLBACKS holds a key that is empty"]),
}
# An exported field that the model sets to None: the warnings, and DJANGO_USER_FIELDS_NONE.
NONE_FIELDS = {
    "username": ([], ["username"]), "email": ([], ["email"]), "first_name": ([], ["first_name"]), "last_name": ([], ["last_name"]),
    "is_movie_user": (["none_is_movie_user.User.is_movie_user is None: the statistics fail, as they do in Django"],
                      ["is_movie_user"]),
    # Django can't order by it, so that the export fails there, too.
    "date_joined": (["none_date_joined.User.date_joined is None: the export fails, as it does in Django"], None),
}
VIEWS = [
    "throttles are not applied", "the version in a request", "OPTIONS is answered as", "a client that accepts only text/html",
]
WARNED = {
    "production": (
        """
SECURE_HSTS_SECONDS, SECURE_SSL_REDIRECT, SECURE_PROXY_SSL_HEADER = 60, True, ("HTTP_X_SCHEME", "https")
X_FRAME_OPTIONS, USE_X_FORWARDED_HOST, CSRF_TRUSTED_ORIGINS = "SAMEORIGIN", True, ["https://example.com"]
CSRF_COOKIE_SECURE = True
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
MIDDLEWARE += ["shop.odd.Middleware", "django.middleware.locale.LocaleMiddleware"]
AUTHENTICATION_BACKENDS = ["shop.odd.Backend", "django.contrib.auth.backends.ModelBackend"]
PREPEND_WWW = True
""",
        ["The headers of X_FRAME_OPTIONS, SECURE_HSTS_SECONDS are not", "SECURE_SSL_REDIRECT", "SECURE_PROXY_SSL_HEADER",
         "USE_X_FORWARDED_HOST", "CSRF_TRUSTED_ORIGINS:", "SESSION_ENGINE is cached_db", "MIDDLEWARE has shop.odd.Middleware:",
         "LocaleMiddleware or LANGUAGE_CODE", "PREPEND_WWW"],
    ),
    "nones": ('INSTALLED_APPS += ["odd"]\nAUTH_USER_MODEL = "odd.Nones"', ["odd.Nones.date_joined is None"]),
    **{f"none_{field}": (f'INSTALLED_APPS += ["none_{field}"]\nAUTH_USER_MODEL = "none_{field}.User"', warned)
       for field, (warned, _) in NONE_FIELDS.items()},
    "captcha": (
        'INSTALLED_APPS += ["shop.form_captcha"]',
        ["INSTALLED_APPS has shop.form_captcha: Basic and the sidecar's login ask for no captcha"],
    ),
    # The sidecar knows it by its name.
    "remote_user": ('AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]', []),
    "single_sign_on": ('AUTHENTICATION_BACKENDS = ["shop.odd.Header", "django.contrib.auth.backends.ModelBackend"]', []),
    "bare": (
        """
for name in ("common.Common", "security.Security", "clickjacking.XFrameOptions"):
    MIDDLEWARE.remove(f"django.middleware.{name}Middleware")
LANGUAGE_CODE = "de"
ROOT_URLCONF = "shop.no_urls"
""",
        ["MIDDLEWARE lacks SecurityMiddleware", "MIDDLEWARE lacks XFrameOptionsMiddleware", "MIDDLEWARE lacks CommonMiddleware",
         "LocaleMiddleware or LANGUAGE_CODE", "The URL conf has no plain path", "No login page was found"],
    ),
    "deciding_middleware": (
        """
MIDDLEWARE += [f"shop.own_middleware.{name}" for name in ("KeyUser", "inactivity", "Plain")]
CORS_ALLOW_ALL_ORIGINS = True
""",
        ["MIDDLEWARE has shop.own_middleware.KeyUser, which may decide who is let in (its code has HTTP_AUTHORIZATION, request.user)",
         "MIDDLEWARE has shop.own_middleware.inactivity, which may decide who is let in (its code has logout)",
         "MIDDLEWARE has shop.own_middleware.Plain: the sidecar runs no middleware", "CORS_ALLOW_ALL_ORIGINS: the sidecar lets"],
    ),
    "browser_close": ("SESSION_EXPIRE_AT_BROWSER_CLOSE = True", ["SESSION_EXPIRE_AT_BROWSER_CLOSE is set"]),
    "one_language": (
        'USE_I18N = False\nLANGUAGE_CODE = "de"\nMIDDLEWARE += ["django.middleware.locale.LocaleMiddleware"]', [],
    ),
    "rest": (
        """
REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
""",
        [f"export-users and export-stats: {line}" for line in VIEWS],
    ),
    "decorated": (
        'ROOT_URLCONF = "shop.decorated_urls"',
        ["export-users: a decorator of", "export-stats: the view is a class of the project's own, shop.decorated_urls.Stats",
         "No login page was found"],
    ),
    "legacy": (
        """
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher",
                    "django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS += ["odd"]
AUTH_USER_MODEL = "odd.Natural"
""",
        ["PASSWORD_HASHERS has django.contrib.auth.hashers.MD5PasswordHasher",
         "PASSWORD_HASHERS lacks argon2, bcrypt_sha256, pbkdf2_sha1", "odd.models.Manager.get_by_natural_key is not Django's",
         "odd.Natural has no field is_tv_user: the export and the statistics fail"],
    ),
    # Without Basic, only the sidecar's login checks passwords.
    "session_only": (
        """
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"]}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS += ["odd"]
AUTH_USER_MODEL = "odd.OwnCheck"
""",
        ["PASSWORD_HASHERS begins with django.contrib.auth.hashers.MD5PasswordHasher, whose hashes the sidecar does not know. So",
         "PASSWORD_HASHERS lacks argon2, bcrypt_sha256, pbkdf2_sha1, pbkdf2_sha256",
         "odd.models.Check.check_password is the project's own. So SIDECAR_LOGIN should stay off"],
    ),
    "wrapped_engine": (
        'DATABASES["default"] = {"ENGINE": "shop.engine", "NAME": "/x"}',
        ["DATABASES['default'] has an engine of its own, shop.engine"],
    ),
}
ODD = {
    "shop/form_captcha/__init__.py": "",
    "shop/odd.py": """
from django.contrib.auth.backends import ModelBackend, RemoteUserBackend
class Header(RemoteUserBackend): pass
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
class Serializer: pass
class Router: pass
class Middleware: pass
class Renderer(JSONRenderer):
    def render(self, *arguments): return super().render(*arguments) + b"\\n"
class Negotiation(DefaultContentNegotiation): pass
class Backend(ModelBackend): pass
class Costly(PBKDF2PasswordHasher): iterations = 10_000_001
def handler(error, context): pass
""",
    "shop/own_middleware.py": """
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
class Session(SessionMiddleware):
    def __call__(self, request): return super().__call__(request)
class Authentication(AuthenticationMiddleware):
    def process_request(self, request): super().process_request(request)
class Plain:
    def __init__(self, get_response): self.get_response = get_response
    def __call__(self, request): return self.get_response(request)
class KeyUser(Plain):
    def __call__(self, request):
        request.user = find_user(request.META.get("HTTP_AUTHORIZATION"))
        return super().__call__(request)
def inactivity(get_response):
    def middleware(request):
        if is_old(request.session): logout(request)
        return get_response(request)
    return middleware
""",
    "shop/engine/__init__.py": "",
    "shop/engine/base.py": "from django.db.backends.sqlite3.base import DatabaseWrapper",
    "shop/other_views.py": """
from django.http import HttpResponse
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.response import Response
@api_view(["GET", "POST"])
def users(request): return Response({})
def stats(request): return HttpResponse()
urlpatterns = [path("a/export-users/", users), path("b/export-stats/", stats)]
""",
    "shop/different_views.py": """
from django.urls import path
from api.views.admin.admin_views import export_users
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import *
from rest_framework.permissions import IsAdminUser
from rest_framework.renderers import StaticHTMLRenderer
@api_view(["GET"])
@permission_classes([IsAdminUser])
@authentication_classes([BasicAuthentication])
@renderer_classes([StaticHTMLRenderer])
def stats(request): pass
urlpatterns = [path("a/export-users/", export_users), path("a/export-stats/", stats)]
""",
    "shop/decorated_urls.py": """
from django.urls import path
from django.views.decorators.cache import cache_page
from rest_framework.permissions import IsAdminUser
from rest_framework.views import APIView
from api.views.admin.admin_views import export_users
class Stats(APIView):
    permission_classes = [IsAdminUser]
    def get(self, request): pass
urlpatterns = [path("a/export-users/", cache_page(60)(export_users)), path("a/export-stats/", Stats.as_view())]
""",
    "shop/broken_urls.py": "1 / 0",
    "shop/no_urls.py": "urlpatterns = []",
    "odd/__init__.py": "",
    "odd/models.py": """
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
class Flags(AbstractUser):
    is_tv_user = models.BooleanField(default=False)
    class Meta: abstract = True
class Mixin:
    def get_session_auth_hash(self): return "constant"
class Check:
    def check_password(self, raw_password): return True
class OwnCheck(Check, Flags): pass
class OwnHash(Mixin, Check, Flags): pass
class Sealed(models.CharField):
    def from_db_value(self, value, expression, connection): return value[::-1]
class Columns(AbstractBaseUser):
    nick = models.CharField(max_length=9, primary_key=True)
    username = models.CharField(max_length=9)
    email = models.EmailField(db_column="mail")
    first_name = Sealed(max_length=9)
    last_name = models.TextField()
    date_joined = models.DateField()
    is_tv_user = models.BooleanField()
    is_movie_user = is_staff = property(lambda self: True)
    people = models.Manager()
    USERNAME_FIELD = "username"
    class Meta: db_table = 'crm"."users'
class Base(AbstractUser): pass
class Child(Base):
    is_tv_user = models.BooleanField()
class Present(UserManager):
    def get_queryset(self): return super().get_queryset().filter(is_active=True)
class Hidden(Flags):
    objects = Present()
class Manager(UserManager):
    def get_queryset(self): return super().get_queryset().select_related(None)
    def get_by_natural_key(self, username): return self.get(username__iexact=username)
class Natural(AbstractUser):
    objects = Manager()
class Nones(AbstractUser):
    username = first_name = last_name = date_joined = None
    email = models.EmailField(unique=True)
    is_tv_user = models.GeneratedField(
        expression=models.Q(is_superuser=True), output_field=models.BooleanField(), db_persist=True)
    USERNAME_FIELD = "email"
""",
}

NONE_MODEL = """
from django.contrib.auth.models import AbstractUser
from django.db import models
class User(AbstractUser):
    is_tv_user = models.BooleanField(default=False)
    is_movie_user = models.BooleanField(default=False)
    login = models.CharField(max_length=9, unique=True)
    USERNAME_FIELD, REQUIRED_FIELDS = "login", []
    {field} = None
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What the script says of every variation, by name."""
    project = sample_project.Project(tmp_path_factory.mktemp("refused") / "project")
    for path, text in ODD.items():
        project.write(path, text)
    for field in NONE_FIELDS:
        project.write(f"none_{field}/__init__.py", "")
        project.write(f"none_{field}/models.py", NONE_MODEL.format(field=field))
    variations = REFUSED | WARNED
    for name, (text, _) in variations.items():
        project.settings(name, text)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(variations, pool.map(project.write_environment, variations)))


def said(done, mark):
    return [line.removeprefix(mark) for line in done.stderr.splitlines() if line.startswith(mark)]


def assert_are(sentences, expected):
    """Each expected one is there, and no other; and each ends as a sentence does."""
    assert sorted(next((begin for begin in expected if line.startswith(begin)), line) for line in sentences) == sorted(expected)
    assert all(line.endswith(".") for line in sentences)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_is_refused_all_at_once_and_nothing_is_written(outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert_are(said(done, "  - "), REFUSED[name][1])
    assert file.read_bytes() == b""


@pytest.mark.parametrize("name", WARNED)
def test_what_differs_is_a_warning_in_the_file_too(outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 0, done.stderr
    assert_are(said(done, "warning: "), WARNED[name][1])
    assert [line.removeprefix("# Warning: ") for line in file.read_text().splitlines() if line.startswith("# Warning: ")] == \
        said(done, "warning: ")
    assert "DATABASE_URL" in sample_project.sourced(file)


@pytest.mark.parametrize("field", NONE_FIELDS)
def test_each_exported_field_may_be_none(outcomes, field):
    found = sample_project.sourced(outcomes[f"none_{field}"][1])
    assert json.loads(found.get("DJANGO_USER_FIELDS_NONE", "null")) == NONE_FIELDS[field][1]


def test_fields_that_the_model_has_set_to_none_are_named(outcomes):
    found = sample_project.sourced(outcomes["nones"][1])
    assert found["DJANGO_USER_FIELDS_NONE"] == '["username", "first_name", "last_name"]'
    assert found["DJANGO_USERNAME_FIELD"] == "email"


def test_without_the_middleware_no_slash_is_appended(outcomes):
    found = sample_project.sourced(outcomes["bare"][1])
    assert (found["DJANGO_APPEND_SLASH"], found["SIDECAR_MOUNT"]) == ("false", "/api/admin")


def test_a_login_that_would_check_passwords_otherwise_is_not_suggested(outcomes):
    file = outcomes["session_only"][1]
    assert sample_project.sourced(file)["DJANGO_REST_AUTHENTICATION"] == "session"
    assert "SIDECAR_LOGIN=on" not in file.read_text()
    assert "SIDECAR_LOGIN=on" not in outcomes["deciding_middleware"][1].read_text()
    assert "SIDECAR_LOGIN=on" in outcomes["legacy"][1].read_text()
