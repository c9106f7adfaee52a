"""Settings in depth: dates in other zones, authenticators that challenge, keys and models that are rarer."""

from datetime import datetime, timezone

from differential.cases import Cases, Variant
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
CLERK = basic("clerk")
UNKNOWN = "abcdefghijklmnopqrstuvwxyz012345"
AUTHENTICATION = "rest_framework.authentication."


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


# Time zones: PostgreSQL turns a moment into the zone's time, the others show what is stored.
for zone in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"):
    name = zone.split("/")[1].lower().replace("_", "-")
    variant = Variant(name, settings={"USE_TZ": False, "TIME_ZONE": zone})
    if name == "kathmandu":
        variant = Variant("naive-kathmandu", settings={"USE_TZ": False, "TIME_ZONE": zone})
    for when, moment in {
        "before_local_mean_time_ended": utc(1850, 1, 1), "in_the_fold": utc(2020, 10, 25, 1, 31), "in_the_gap": utc(2021, 3, 28, 1, 31),
        "in_winter": utc(2020, 1, 1, 12), "in_summer": utc(2020, 7, 1, 12), "in_a_far_summer": utc(2090, 7, 1, 12), "in_1945": utc(1945, 6, 1),
    }.items():

        def a_date(w, moment=moment):
            w.listed(date_joined=moment)
            return get(EXPORT, auth=CLERK)

        cases.add(f"without_use_tz_a_date_{when}_in_{name}".replace("-", "_"), 200, a_date, variant=variant)

BERLIN = Variant("berlin", settings={"USE_TZ": False, "TIME_ZONE": "Europe/Berlin"})


@cases({"*": 200, "postgres": 500}, variant=BERLIN)
def without_use_tz_the_last_moment_of_9999_in_berlin(w):
    w.listed(date_joined=utc(9999, 12, 31, 23, 59, 59))
    return get(EXPORT, auth=CLERK)


AWARE = Variant("aware-berlin", settings={"TIME_ZONE": "Europe/Berlin"})
for expires_in, status in ((1800, 200), (-1800, 403)):
    build = lambda w, expires_in=expires_in: get(cookie=w.cookie(w.clerk, expires_in=expires_in))
    cases.add(f"with_use_tz_a_zone_does_not_move_an_expiry_{status}", status, build, variant=AWARE)

# Authenticators that have a challenge.
for name, classes in {"basic-first": ["BasicAuthentication", "SessionAuthentication"], "basic-only": ["BasicAuthentication"]}.items():
    settings = {"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [AUTHENTICATION + one for one in classes]}}
    variant = Variant(name, settings=settings)
    name = name.replace("-", "_")
    for what, value in {
        "bearer": "Bearer x", "an_empty_basic": "Basic", "undecodable_basic": "Basic QUI", "an_inactive_user": basic("retired"),
        "an_unknown_user": basic("nobody"),
    }.items():
        cases.add(f"{name}_{what}_is_401", 401, get(auth=value), variant=variant)
    cases.add(f"{name}_a_head_by_an_anonymous_caller_is_401", 401, get(method="HEAD"), variant=variant)
    cases.add(f"{name}_a_post_by_an_anonymous_caller_is_401", 401, get(method="POST"), variant=variant)
    cases.add(f"{name}_a_post_by_the_clerk_is_405", 405, get(auth=CLERK, method="POST"), variant=variant)
    cases.add(f"{name}_an_unknown_format_is_404", 404, get(STATS + "?format=xml"), variant=variant)
    cases.add(f"{name}_an_unknown_accept_is_406", 406, get(STATS, ("Accept", "a/b")), variant=variant)
    cases.add(f"{name}_options_by_the_clerk", 200, get(auth=CLERK, method="OPTIONS"), variant=variant)
    cases.add(f"{name}_an_indented_401", 401, get(STATS, ("Accept", "application/json; indent=2")), variant=variant)
    cases.add(f"{name}_a_dead_cookie_beside_bad_basic", 401, get(cookie=f"sessionid={UNKNOWN}", auth=basic("x")), variant=variant)
    if name == "basic_first":
        cases.add("basic_first_basic_decides_before_the_session", 403, lambda w: get(cookie=w.staff_cookie, auth=basic("plain")), variant=variant)
        cases.add("basic_first_a_post_by_session_is_about_csrf", 403, lambda w: get(cookie=w.staff_cookie, method="POST"), variant=variant)
        cases.add("basic_first_a_post_by_basic_beside_a_session_is_405", 405, lambda w: get(cookie=w.staff_cookie, auth=CLERK, method="POST"), variant=variant)

# Models and keys.
NEITHER = Variant("no-services", model={"fields": []})
cases.add("without_either_service_the_export_fails", 500, get(EXPORT, auth=CLERK), variant=NEITHER)
cases.add("without_either_service_the_statistics_fail", 500, get(STATS, auth=CLERK), variant=NEITHER)
cases.add("without_a_tv_field_the_error_can_be_indented", 500, get(EXPORT, ("Accept", "application/json; indent=2"), auth=CLERK), variant=NEITHER)
OWN_KEY = Variant("own-key", settings={"SECRET_KEY": "ein-schlüssel-mit-☃ und Leerzeichen"})
cases.add("a_secret_key_beyond_ascii_signs_sessions", 200, lambda w: get(EXPORT, cookie=w.staff_cookie), variant=OWN_KEY)
cases.add("a_session_of_the_usual_key_is_anonymous_then", 403, lambda w: get(cookie=w.cookie(w.clerk, key="reference-secret-key")), variant=OWN_KEY)
EMAIL = Variant("e-mail-names", model={"username_field": "email"})
cases.add("an_address_in_upper_case_is_the_databases_matter", {"*": 403, "mysql": 200}, get(auth=basic("CLERK@EXAMPLE.COM")), variant=EMAIL)


@cases(200, variant=Variant("uuid-keys", model={"key": "uuid"}))
def an_exported_uuid_is_text_with_hyphens(w):
    w.listed()
    return get(EXPORT, auth=CLERK)


# Hosts.
HOSTS = Variant("some-hosts", settings={"ALLOWED_HOSTS": ["example.com", ".example.org", "[::1]", "UPPER.example"]})
for host in ("example.com..", "com", "[::2]", "example.org.evil", "*", "a.example.com"):
    cases.add(f"among_some_hosts_{host}_is_400".replace("*", "a_star"), 400, get(auth=CLERK, host=host), variant=HOSTS, older_text=("4.0",))
cases.add("among_some_hosts_a_dot_in_front_of_a_domain_that_allows_subdomains", 200, get(auth=CLERK, host=".example.org"), variant=HOSTS)
cases.add("a_forwarded_host_is_not_asked", 400, get(STATS, ("X-Forwarded-Host", "example.com"), auth=CLERK, host="other"), variant=HOSTS, older_text=("4.0",))
for method in ("POST", "HEAD", "OPTIONS"):
    variant = Variant("no-append-slash", settings={"APPEND_SLASH": False})
    cases.add(f"without_append_slash_a_{method.lower()}_is_404", 404, get(EXPORT[:-1], method=method), variant=variant, older_text=("4.0",))


test_answers = cases.test()
