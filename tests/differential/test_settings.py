"""Settings and user models other than the default ones: a pair of servers for each."""

from differential.cases import Cases, Variant
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
STAFF = basic("clerk")
WRONG = basic("clerk", "wrong")
# 4.0's pages have no charset.
PLAIN_HTML = ("4.0",)
AUTHENTICATION = "rest_framework.authentication."


def rest(*authenticators):
    return {"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [AUTHENTICATION + name for name in authenticators]}}


def callers(variant, **statuses):
    """What every kind of caller gets, on both endpoints: 200 and 403 unless told otherwise."""
    name = variant.name.replace("-", "_")
    status = {"staff": 200, "session": 200, "plain": 403, "anonymous": 403, "wrong": 403, "malformed": 403} | statuses
    both = status["wrong" if "basic" in name else "session"]
    for target, view in ((EXPORT, "export"), (STATS, "stats")):
        add = lambda who, build: cases.add(f"{name}_{view}_for_{who}", status[who], build, variant=variant)
        add("staff", get(target, auth=STAFF))
        add("session", lambda w, target=target: get(target, cookie=w.staff_cookie))
        add("plain", get(target, auth=basic("plain")))
        add("anonymous", get(target))
        add("wrong", get(target, auth=WRONG))
        add("malformed", get(target, auth="Basic a b c"))
    cases.add(f"{name}_both_credentials", both, lambda w: get(cookie=w.staff_cookie, auth=WRONG), variant=variant)
    cases.add(f"{name}_options_by_an_anonymous_caller", status["anonymous"], get(EXPORT, method="OPTIONS"), variant=variant)
    cases.add(f"{name}_a_dead_cookie", status["anonymous"], get(cookie="sessionid=abcdefghijkl"), variant=variant)
    cases.add(f"{name}_a_dead_cookie_and_basic", status["staff"], get(cookie="sessionid=abcdefghijkl", auth=STAFF), variant=variant)


callers(Variant("basic-first", settings=rest("BasicAuthentication", "SessionAuthentication")), anonymous=401, wrong=401, malformed=401)
callers(Variant("basic-only", settings=rest("BasicAuthentication")), session=401, anonymous=401, wrong=401, malformed=401)
callers(Variant("session-only", settings=rest("SessionAuthentication")), staff=403)

# Models.
NO_MOVIES = Variant("no-movie-users", model={"fields": ["is_tv_user"]})
callers(NO_MOVIES)
NO_TV = Variant("no-tv-users", model={"fields": ["is_movie_user"]})
callers(NO_TV, staff=500, session=500)
callers(Variant("other-table", model={"table": "Accounts user", "key": "int"}))
BY_EMAIL = Variant("e-mail-names", model={"username_field": "email"})
cases.add("an_e_mail_address_is_a_user_name", 200, get(EXPORT, auth=basic("clerk@example.com")), variant=BY_EMAIL)
cases.add("the_user_name_is_not_when_the_address_is", 403, get(EXPORT, auth=STAFF), variant=BY_EMAIL)
cases.add("a_session_of_a_user_by_e_mail", 200, lambda w: get(EXPORT, cookie=w.staff_cookie), variant=BY_EMAIL)
NO_TV_DEBUG = Variant("no-tv-users-debug", model={"fields": ["is_movie_user"]}, settings={"DEBUG": True})
cases.add("with_debug_a_missing_field_is_explained", 500, get(EXPORT, auth=STAFF), variant=NO_TV_DEBUG)
cases.add("with_debug_the_statistics_of_a_missing_field_are_not", 500, get(STATS, auth=STAFF), variant=NO_TV_DEBUG)

# Time zones.
BERLIN = Variant("berlin", settings={"USE_TZ": False, "TIME_ZONE": "Europe/Berlin"})
cases.add("without_use_tz_dates_are_naive", 200, get(EXPORT, auth=STAFF), variant=BERLIN)
cases.add("with_a_time_zone_and_use_tz_dates_are_utc", 200, get(EXPORT, auth=STAFF), variant=Variant("kathmandu", settings={"TIME_ZONE": "Asia/Kathmandu"}))
NEW_YORK = Variant("new-york", settings={"USE_TZ": False, "TIME_ZONE": "America/New_York"})
cases.add("without_use_tz_dates_are_naive_in_the_west", 200, get(EXPORT, auth=STAFF), variant=NEW_YORK)
# The rows are written in UTC, and read as local time where the database has no zones.
cases.add("without_use_tz_a_session_of_three_hours_is_live", 200, lambda w: get(cookie=w.cookie(w.clerk, expires_in=3 * 3600)), variant=BERLIN)
cases.add("without_use_tz_a_session_of_half_an_hour_is_over_in_berlin", {"*": 403, "postgres": 200}, lambda w: get(cookie=w.cookie(w.clerk, expires_in=1800)), variant=BERLIN)
cases.add("without_use_tz_a_session_that_ended_is_live_in_new_york", {"*": 200, "postgres": 403}, lambda w: get(cookie=w.cookie(w.clerk, expires_in=-1800)), variant=NEW_YORK)

# Session cookies.
COOKIE = {
    "SESSION_COOKIE_NAME": "sid", "SESSION_COOKIE_DOMAIN": "example.com", "SESSION_COOKIE_PATH": "/api",
    "SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_HTTPONLY": False, "SESSION_COOKIE_SAMESITE": "Strict",
}
OTHER_COOKIE = Variant("other-cookie", settings=COOKIE)
cases.add("a_session_cookie_of_another_name", 200, lambda w: get(cookie=w.staff_cookie), variant=OTHER_COOKIE)
cases.add("a_dead_cookie_of_another_name_is_deleted_where_it_was_set", 403, get(cookie="sid=abcdefghijkl"), variant=OTHER_COOKIE)
cases.add("a_cookie_of_the_usual_name_is_nothing_then", 403, get(cookie="sessionid=abcdefghijkl"), variant=OTHER_COOKIE)
for text, value in (("none", "None"), ("false", False), ("lower_case", "lax"), ("none_in_upper_case", "NONE")):
    variant = Variant(f"same-site-{text}", settings={"SESSION_COOKIE_SAMESITE": value})
    cases.add(f"a_dead_cookie_with_same_site_{text}", 403, get(cookie="sessionid=abcdefghijkl"), variant=variant)
variant = Variant("host-prefix", settings={"SESSION_COOKIE_NAME": "__Host-sid"})
cases.add("a_dead_cookie_with_a_prefix_is_deleted_securely", 403, get(cookie="__Host-sid=abcdefghijkl"), variant=variant)

# Hosts.
HOSTS = Variant("some-hosts", settings={"ALLOWED_HOSTS": ["example.com", ".example.org", "[::1]", "UPPER.example"]})
for host, status in {
    "example.com": 403, "EXAMPLE.com:8080": 403, "example.com.": 403, "www.example.com": 400, "example.org": 403,
    "a.b.example.org": 403, "xexample.org": 400, "[::1]:80": 403, "upper.example": 403, "testserver": 400,
    "localhost": 400, "127.0.0.1": 400, "example.com:": 400, "example.com,example.org": 400,
}.items():
    cases.add(f"among_some_hosts_{host}", status, get(host=host), variant=HOSTS, older_text=PLAIN_HTML)
LOCAL = Variant("debug-hosts", settings={"ALLOWED_HOSTS": [], "DEBUG": True})
for host in ("localhost", "a.localhost:8000", "127.0.0.1", "[::1]:8000"):
    cases.add(f"with_debug_alone_{host}", 403, get(host=host), variant=LOCAL)
NOWHERE = Variant("no-hosts", settings={"ALLOWED_HOSTS": []})
for host in ("localhost", "testserver"):
    cases.add(f"without_any_host_{host}", 400, get(host=host), variant=NOWHERE, older_text=PLAIN_HTML)

# Slashes.
BARE = Variant("no-append-slash", settings={"APPEND_SLASH": False})
for target in (EXPORT, STATS):
    cases.add(f"without_append_slash_{target[:-1]}_is_unknown", 404, get(target[:-1]), variant=BARE, older_text=PLAIN_HTML)
    cases.add(f"without_append_slash_{target}_is_known", 403, get(target), variant=BARE)

# Backends.
OTHER_BACKEND = Variant(
    "other-backends",
    settings={"AUTHENTICATION_BACKENDS": ["django.contrib.auth.backends.RemoteUserBackend", "django.contrib.auth.backends.ModelBackend"]},
)
for backend, status in {"ModelBackend": 200, "RemoteUserBackend": 200, "AllowAllUsersModelBackend": 403}.items():
    data = {"_auth_user_backend": f"django.contrib.auth.backends.{backend}"}
    cases.add(f"among_other_backends_{backend}", status, lambda w, data=data: get(cookie=w.cookie(w.clerk, data=data)), variant=OTHER_BACKEND)
cases.add("among_other_backends_basic", 200, get(auth=STAFF), variant=OTHER_BACKEND)


test_answers = cases.test()
