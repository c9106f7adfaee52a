"""Which caller may send which request: the callers, the two authenticators together, methods, HEAD and OPTIONS."""

from differential.cases import Cases
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()

STAFF = {
    "clerk": "a_staff_user",
    "admin": "a_staff_superuser",
}
REFUSED = {
    "root": "a_superuser_who_is_not_staff",
    "plain": "a_plain_user",
}
PATHS = {EXPORT: "export", STATS: "stats"}

for path, view in PATHS.items():
    for name, who in STAFF.items():
        cases.add(
            f"{who}_gets_the_{view}_by_session", 200,
            lambda w, path=path, name=name: get(path, cookie=w.cookie(getattr(w, name))),
        )
        cases.add(f"{who}_gets_the_{view}_by_basic", 200, get(path, auth=basic(name)))
    for name, who in REFUSED.items():
        cases.add(
            f"{who}_may_not_see_the_{view}_by_session", 403,
            lambda w, path=path, name=name: get(path, cookie=w.cookie(getattr(w, name))),
        )
        cases.add(f"{who}_may_not_see_the_{view}_by_basic", 403, get(path, auth=basic(name)))
    cases.add(f"an_anonymous_caller_is_refused_the_{view}", 403, get(path))
    cases.add(f"an_inactive_user_with_the_right_password_is_refused_the_{view}", 403, get(path, auth=basic("retired")))
    cases.add(f"a_wrong_password_is_refused_the_{view}", 403, get(path, auth=basic("admin", "wrong")))
    cases.add(
        f"an_inactive_users_session_is_anonymous_to_the_{view}", 403,
        lambda w, path=path: get(path, cookie=w.cookie(w.retired)),
    )

METHODS = ["POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO", "PROPFIND", "LOCK", "SEARCH", "QUERY"]
for method in METHODS:
    name = method.lower()
    cases.add(f"an_anonymous_{name}_is_403", 403, get(EXPORT, method=method))
    cases.add(f"a_{name}_by_staff_through_basic_is_405", 405, get(EXPORT, auth=basic("clerk"), method=method))
    cases.add(f"a_{name}_by_a_plain_user_through_basic_is_403", 403, get(EXPORT, auth=basic("plain"), method=method))
    cases.add(
        f"a_{name}_by_a_staff_session_is_stopped_by_csrf" if method != "TRACE" else "a_trace_by_a_staff_session_is_405",
        403 if method != "TRACE" else 405,
        lambda w, method=method: get(EXPORT, cookie=w.staff_cookie, method=method),
    )

for path, view in PATHS.items():
    cases.add(f"head_of_{view}_by_staff_is_405_without_a_body", 405, get(path, auth=basic("clerk"), method="HEAD"))
    cases.add(
        f"head_of_{view}_by_a_staff_session_is_405", 405,
        lambda w, path=path: get(path, cookie=w.staff_cookie, method="HEAD"),
    )
    cases.add(f"head_of_{view}_by_an_anonymous_caller_is_403_without_a_body", 403, get(path, method="HEAD"))
    cases.add(f"options_of_{view}_by_staff_describes_it", 200, get(path, auth=basic("clerk"), method="OPTIONS"))
    cases.add(
        f"options_of_{view}_by_a_staff_session_describes_it", 200,
        lambda w, path=path: get(path, cookie=w.staff_cookie, method="OPTIONS"),
    )
    cases.add(f"options_of_{view}_by_an_anonymous_caller_is_403", 403, get(path, method="OPTIONS"))
    cases.add(f"options_of_{view}_by_a_plain_user_is_403", 403, get(path, auth=basic("plain"), method="OPTIONS"))
    cases.add(
        f"options_of_{view}_can_be_indented", 200,
        get(path, ("Accept", "application/json; indent=4"), auth=basic("clerk"), method="OPTIONS"),
    )
cases.add(
    "a_cors_preflight_is_403", 403,
    get(EXPORT, ("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET"), method="OPTIONS"),
)
cases.add(
    "method_override_headers_do_nothing", 405,
    get(EXPORT, ("X-HTTP-Method-Override", "GET"), auth=basic("clerk"), method="POST"),
)
cases.add("a_post_with_a_form_body_is_405", 405, get(EXPORT, ("Content-Type", "application/x-www-form-urlencoded"), auth=basic("clerk"), method="POST", body=b"_method=GET&a=b"))
cases.add("a_post_with_broken_json_is_405", 405, get(EXPORT, ("Content-Type", "application/json"), auth=basic("clerk"), method="POST", body=b"{"))
cases.add("a_post_with_an_unknown_media_type_is_405", 405, get(EXPORT, ("Content-Type", "text/csv"), auth=basic("clerk"), method="POST", body=b"a,b"))
cases.add("a_get_with_a_body_is_answered", 200, get(EXPORT, ("Content-Type", "application/json"), auth=basic("clerk"), body=b'{"a":1}'))


@cases(403)
def a_valid_session_decides_before_basic(w):
    return get(cookie=w.cookie(w.plain), auth=basic("admin"))


@cases(200)
def a_valid_session_makes_a_malformed_basic_irrelevant(w):
    return get(cookie=w.staff_cookie, auth="Basic !!!")


@cases(200)
def basic_admits_when_the_session_is_an_inactive_users(w):
    return get(cookie=w.cookie(w.retired), auth=basic("clerk"))


@cases(200)
def basic_admits_when_the_session_is_expired_and_the_dead_cookie_is_deleted(w):
    return get(cookie=w.cookie(w.clerk, expires_in=-1), auth=basic("clerk"))


@cases(200)
def basic_admits_when_the_session_key_is_unknown(w):
    return get(cookie="sessionid=abcdefghijklmnopqrstuvwxyz012345", auth=basic("clerk"))


@cases(200)
def basic_admits_when_the_session_is_signed_with_another_key(w):
    return get(cookie=w.cookie(w.clerk, key="another-key", hash_key="another-key"), auth=basic("clerk"))


@cases(403)
def a_wrong_basic_after_an_expired_session_is_about_basic(w):
    return get(cookie=w.cookie(w.clerk, expires_in=-1), auth=basic("clerk", "wrong"))


@cases(403)
def an_anonymous_head_deletes_a_dead_cookie_too(w):
    return get(cookie=w.cookie(w.clerk, expires_in=-1), method="HEAD")


test_answers = cases.test()
