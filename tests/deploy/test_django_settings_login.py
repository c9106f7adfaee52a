"""What `deploy/django-settings.py` says about logging in: backends, second factors, lockouts, the login page, the session
cookie, and the path of the sidecar's own login. Each variation is a settings module of one live project."""

import concurrent.futures
import json

import pytest

from deploy import sample_project

MODEL = "django.contrib.auth.backends.ModelBackend"


def entry(backend, names=("username",)):
    return {"backend": backend, "names": list(names)}


# name: AUTHENTICATION_BACKENDS; DJANGO_PASSWORD_BACKENDS; how each warning goes on behind "AUTHENTICATION_BACKENDS has "
BACKENDS = {
    "model": ([MODEL], None, []),
    "all_users": (["django.contrib.auth.backends.AllowAllUsersModelBackend"], None, []),
    "renamed": (["shop.login.Renamed"], [entry("shop.login.Renamed")], []),
    "inactive": (
        ["shop.login.Everyone"], [entry("shop.login.Everyone")],
        ["shop.login.Everyone, which admits users who are not active"],
    ),
    # It decides by itself whether an inactive user may log in.
    "base": (
        ["shop.login.Base"], [entry("shop.login.Base")],
        ["shop.login.Base with a get_user of its own", "shop.login.Base, whose authenticate is the project's own"],
    ),
    # Neither can be named by a session: a page of Django would be an error, or its user logged out.
    "without_get_user": (
        ["shop.login.Rights", "shop.login.Permissions", "shop.login.NoGetUser", "shop.login.BaseGetUser", MODEL], [entry(MODEL)],
        ["shop.login.Permissions, shop.login.NoGetUser, shop.login.BaseGetUser: Basic and the sidecar's login pass over"],
    ),
    "directory": (
        ["shop.login.Directory", MODEL], [entry(MODEL)],
        ["shop.login.Directory with a get_user of its own", "shop.login.Directory: Basic and"],
    ),
    "header": (["shop.login.Header", MODEL], [entry(MODEL)], []),
    # It takes no password, and its `get_user` decides about sessions.
    "magic_link": (["shop.login.MagicLink", MODEL], [entry(MODEL)], ["shop.login.MagicLink with a get_user of its own"]),
    "own_lookup": (
        ["shop.login.ByEmail", MODEL], [entry("shop.login.ByEmail"), entry(MODEL)],
        ["shop.login.ByEmail, whose authenticate is the project's own"],
    ),
    "by_other_name": (
        ["shop.login.EmailAndMore", MODEL], [entry("shop.login.EmailAndMore", []), entry(MODEL)],
        ["shop.login.EmailAndMore, which takes no name as USERNAME_FIELD, username"],
    ),
    "stricter": (
        ["shop.login.Stricter"], [entry("shop.login.Stricter")],
        ["shop.login.Stricter with a get_user and a user_can_authenticate of its own",
         "shop.login.Stricter, whose authenticate is the project's own"],
    ),
}
# name: settings with a user model whose USERNAME_FIELD is email; DJANGO_PASSWORD_BACKENDS; warnings as above
BY_EMAIL = {
    # DRF's Basic calls it, Django's login form does not.
    "email_alone": (
        ["shop.login.EmailAlone"], [entry("shop.login.EmailAlone")],
        ["shop.login.EmailAlone, whose authenticate is the project's own"],
    ),
    "username_alone": (["shop.login.UsernameAlone", MODEL], [entry(MODEL)], ["shop.login.UsernameAlone: Basic and"]),
}
# name: settings
NO_PASSWORD = {
    "header_alone": 'AUTHENTICATION_BACKENDS = ["shop.login.Header"]',
    "directory_alone": 'AUTHENTICATION_BACKENDS = ["shop.login.Directory"]',
    "no_get_user_alone": 'AUTHENTICATION_BACKENDS = ["shop.login.NoGetUser"]',
    "no_name": 'AUTHENTICATION_BACKENDS = ["shop.login.EmailAndMore"]',
}
# name: settings; DJANGO_SECOND_FACTOR; DJANGO_LOCKOUT
FACTORS = {
    "app": ('INSTALLED_APPS += ["shop.mfa", "shop.django_otp"]', ["shop.mfa", "shop.django_otp"], None),
    "factor_middleware": ('MIDDLEWARE += ["shop.two_factor.Middleware"]', ["shop.two_factor"], None),
    "library": ('ROOT_URLCONF = "shop.urls_with_otp"', ["pyotp"], None),
    "lockouts": ('INSTALLED_APPS += ["shop.axes"]', None, ["shop.axes"]),
    "lockout_backend": (f'AUTHENTICATION_BACKENDS = ["shop.axes.backends.Axes", "{MODEL}"]', None, ["shop.axes"]),
    "failed_logins": ('MIDDLEWARE += ["shop.defender.FailedLoginMiddleware"]', None, ["shop.defender"]),
}
# name: settings with urls.py; DJANGO_LOGIN_URL
PAGES = {
    # Every path leads to it, and it knows no such page.
    "cms": ('LOGIN_URL = "/login/"\nROOT_URLCONF = "shop.urls_of_cms"', "/admin/login/"),
    "cms_database": ('LOGIN_URL = "/pages/login/"\nROOT_URLCONF = "shop.urls_of_cms"', "/admin/login/"),
    "beside_cms": ('LOGIN_URL = "/members/login/"\nROOT_URLCONF = "shop.urls_of_cms"', "/members/login/"),
    # The application in the browser has a route of its own for it.
    "single_page": ('LOGIN_URL = "/app/login"\nROOT_URLCONF = "shop.urls_of_cms"', "/app/login"),
    # LocaleMiddleware redirects to the path with a language.
    "languages": (
        'LOGIN_URL = "/user/login"\nROOT_URLCONF = "shop.urls_of_languages"\n'
        'MIDDLEWARE.insert(2, "django.middleware.locale.LocaleMiddleware")', "/user/login"),
    "name": ('LOGIN_URL = "enter"\nROOT_URLCONF = "shop.urls_of_cms"', "/members/login/"),
    "script": ('FORCE_SCRIPT_NAME = "/shop"\nLOGIN_URL = "/shop/admin/login/"', "/shop/admin/login/"),
    "script_is_missing": ('FORCE_SCRIPT_NAME = "/shop/"\nLOGIN_URL = "/admin/login/"', "/shop/admin/login/"),
    "script_and_name": ('FORCE_SCRIPT_NAME = "/shop"\nLOGIN_URL = "admin:login"', "/shop/admin/login/"),
}
# name: settings; the variables
VARIABLES = {
    "lower_case": ('SESSION_COOKIE_SAMESITE = "lax"', {"DJANGO_SESSION_COOKIE_SAMESITE": "lax"}),
    "no_same_site": ("SESSION_COOKIE_SAMESITE = None", {"DJANGO_SESSION_COOKIE_SAMESITE": "False"}),
    "script_name": ('FORCE_SCRIPT_NAME = "/shop"', {"SIDECAR_MOUNT": "/shop/api/admin", "SIDECAR_LOGIN_MOUNT": "/shop/api"}),
    "context_path": ('ROOT_URLCONF = "shop.urls_below"', {"SIDECAR_MOUNT": "/linkding/api/admin", "SIDECAR_LOGIN_MOUNT":
                                                          "/linkding/api", "DJANGO_LOGIN_URL": "/linkding/admin/login/"}),
    "at_the_root": ("", {"SIDECAR_MOUNT": "/api/admin", "SIDECAR_LOGIN_MOUNT": None}),
    "subclasses": (
        """
for kind in ("middleware.common.Common", "contrib.sessions.middleware.Session", "contrib.auth.middleware.Authentication"):
    place = MIDDLEWARE.index(f"django.{kind}Middleware")
    MIDDLEWARE[place] = f"shop.middleware.{kind.split('.')[-1]}"
""",
        {"DJANGO_APPEND_SLASH": "true", "SIDECAR_MOUNT": "/api/admin"},
    ),
}
FILES = {
    "shop/login.py": """
from django.contrib.auth import backends, get_user_model
from django.contrib.auth.hashers import check_password
class Renamed(backends.ModelBackend): pass
class Everyone(backends.AllowAllUsersModelBackend): pass
class Rights:
    def has_perm(self, user, permission, thing=None): return False
class Permissions:
    def authenticate(self, request, username, password): return None
class NoGetUser:
    def authenticate(self, request, username=None, password=None):
        user = get_user_model().objects.get(username=username)
        return user if self.matches(user, password) else None
    def matches(self, user, password): return user.check_password(password)
class BaseGetUser(backends.BaseBackend):
    def authenticate(self, request, username=None, password=None): return check_password(password, "")
class Directory:
    def authenticate(self, request, username=None, password=None): return self.bind(username, password)
    def get_user(self, key): return get_user_model().objects.get(pk=key)
class Header(backends.RemoteUserBackend): pass
class MagicLink:
    def authenticate(self, request, token): return None
    def get_user(self, key): return get_user_model().objects.get(pk=key)
class Base(backends.BaseBackend):
    def authenticate(self, request, username=None, password=None, **more):
        user = get_user_model().objects.get(username=username)
        return user if user.is_active and user.check_password(password) else None
    def get_user(self, key): return get_user_model().objects.filter(pk=key, is_active=True).first()
class ByEmail(backends.ModelBackend):
    def authenticate(self, request, username=None, password=None, **more):
        user = get_user_model().objects.filter(email=username).first()
        return user if user and user.check_password(password) else None
class EmailAlone(backends.ModelBackend):
    def authenticate(self, request, email=None, password=None): return get_user_model()(email=email).check_password(password)
class UsernameAlone(backends.ModelBackend):
    def authenticate(self, request, username=None, password=None): return get_user_model()().check_password(password)
class EmailAndMore(backends.ModelBackend):
    def authenticate(self, request, email=None, password=None, **more): return get_user_model()().check_password(password)
class Stricter(backends.ModelBackend):
    def authenticate(self, request, **more): return super().authenticate(request, **more)
    def user_can_authenticate(self, user): return user.is_staff and super().user_can_authenticate(user)
    def get_user(self, key): return super().get_user(key)
""",
    "shop/mfa/__init__.py": "", "shop/django_otp/__init__.py": "",
    "shop/two_factor.py": "def Middleware(get_response): return get_response",
    "shop/defender.py": "def FailedLoginMiddleware(get_response): return get_response",
    "shop/axes/__init__.py": "",
    "shop/axes/backends.py": """
class Axes:
    def authenticate(self, request, username=None, password=None): return None
""",
    "pyotp.py": "",
    "shop/urls_with_otp.py": "import pyotp\nfrom shop.urls import urlpatterns",
    "shop/urls_below.py": """
from django.urls import include, path
from shop.urls import urlpatterns as inner
urlpatterns = [path("linkding/", include(inner))]
""",
    "shop/urls_of_languages.py": """
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth import views
from django.urls import include, path
urlpatterns = [
    path("api/admin/", include("api.urls.admin_urls")), *i18n_patterns(path("user/login", views.LoginView.as_view())),
]
""",
    "shop/urls_of_cms.py": """
from django.contrib.auth import get_user_model, views
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import include, path, re_path
from shop.urls import urlpatterns as inner
def page(request, path): raise Http404
def stored(request, slug): return HttpResponse(get_object_or_404(get_user_model(), username=slug).username)
def application(request): return HttpResponse("<div id=app></div>" + request.get_host())
urlpatterns = [
    *inner, path("members/login/", views.LoginView.as_view(), name="enter"), re_path("^app/.*$", application),
    path("pages/<slug:slug>/", stored), re_path(r"^((?:[\\w-]+/)*)$", page),
]
""",
    "shop/middleware.py": """
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.middleware.common import CommonMiddleware
class Common(CommonMiddleware): pass
class Session(SessionMiddleware): pass
class Authentication(AuthenticationMiddleware): pass
""",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What the script says of every variation, by name."""
    project = sample_project.Project(tmp_path_factory.mktemp("login") / "project")
    for path, text in FILES.items():
        project.write(path, text)
    variations = {name: f"AUTHENTICATION_BACKENDS = {backends!r}" for name, (backends, *_) in (BACKENDS | BY_EMAIL).items()}
    for name in BY_EMAIL:
        variations[name] = f"from shop.by_email import *\n{variations[name]}"
    variations |= {name: case[0] for name, case in (FACTORS | PAGES | VARIABLES).items()}
    variations |= NO_PASSWORD
    for name, text in variations.items():
        project.settings(name, text)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(variations, pool.map(project.write_environment, variations)))


def warnings(done):
    return [line.removeprefix("warning: ") for line in done.stderr.splitlines() if line.startswith("warning: ")]


@pytest.mark.parametrize("name", BACKENDS | BY_EMAIL)
def test_the_backends_are_named_that_compare_passwords_and_that_a_session_can_name(outcomes, name):
    done, file = outcomes[name]
    backends, entries, expected = (BACKENDS | BY_EMAIL)[name]
    assert done.returncode == 0, done.stderr
    found = sample_project.sourced(file)
    assert json.loads(found["DJANGO_AUTHENTICATION_BACKENDS"]) == backends
    assert json.loads(found.get("DJANGO_PASSWORD_BACKENDS", "null")) == entries
    for warning, text in zip(warnings(done), expected, strict=True):
        assert warning.startswith(f"AUTHENTICATION_BACKENDS has {text}")


@pytest.mark.parametrize("name", NO_PASSWORD)
def test_without_a_backend_that_compares_passwords_no_password_is_taken(outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 0, done.stderr
    found = json.loads(sample_project.sourced(file)["DJANGO_PASSWORD_BACKENDS"])
    assert not any(entry["names"] for entry in found)
    assert "SIDECAR_LOGIN=on" not in file.read_text()


@pytest.mark.parametrize("name", FACTORS)
def test_second_factors_and_lockouts_are_named(outcomes, name):
    done, file = outcomes[name]
    _, factors, lockouts = FACTORS[name]
    assert done.returncode == 0, done.stderr
    found = sample_project.sourced(file)
    assert json.loads(found.get("DJANGO_SECOND_FACTOR", "null")) == factors
    assert json.loads(found.get("DJANGO_LOCKOUT", "null")) == lockouts
    for names, begins in ((factors, "The project asks for a second factor"), (lockouts, "The project locks accounts or")):
        told = [warning for warning in warnings(done) if warning.startswith(begins)]
        assert len(told) == bool(names) and all(", ".join(names) in warning for warning in told)
    assert ("# SIDECAR_LOGIN=on\n" in file.read_text()) is not bool(factors)


@pytest.mark.parametrize("name", PAGES)
def test_the_login_page_is_one(outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 0, done.stderr
    assert [warning for warning in warnings(done) if not warning.startswith("LocaleMiddleware or")] == []
    assert sample_project.sourced(file)["DJANGO_LOGIN_URL"] == PAGES[name][1]


@pytest.mark.parametrize("name", VARIABLES)
def test_cookies_middleware_and_prefixes_reach_their_variables(outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 0, done.stderr
    found = sample_project.sourced(file)
    assert {variable: found.get(variable) for variable in VARIABLES[name][1]} == VARIABLES[name][1]
    # That the sidecar does not run what a subclass adds is the only thing to say.
    assert [warning.split(":")[0] for warning in warnings(done)] == [
        "MIDDLEWARE has shop.middleware.Session, shop.middleware.Common, shop.middleware.Authentication"
    ] * (name == "subclasses")
