"""DRF's TokenAuthentication, subclasses of DRF's authenticators, and authenticators that are left to Django."""

import json

from differential.cases import Cases, Variant
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
DRF = "rest_framework.authentication."
OWN = "reference.authenticators."
# Class, and what deploy/django-settings.py writes of it (tests/projects shows that it does).
SESSION = (DRF + "SessionAuthentication", {"kind": "session", "csrf": True, "challenge": None})
BASIC = (DRF + "BasicAuthentication", {"kind": "basic", "challenge": 'Basic realm="api"'})
MODEL = {"table": "authtoken_token", "key": "key", "user": "user_id"}
TOKEN = (DRF + "TokenAuthentication", {"kind": "token", "challenge": "Token", "keyword": "Token", **MODEL})
BEARER = (OWN + "BearerTokens", {"kind": "token", "challenge": "Bearer", "keyword": "Bearer", **MODEL})
CHALLENGING = (OWN + "ChallengingSessions", {"kind": "session", "csrf": True, "challenge": "Session"})
WITHOUT_CSRF = (OWN + "SessionsWithoutCsrf", {"kind": "session", "csrf": False, "challenge": None})
KEYS = (OWN + "Keys", {
    "kind": "django", "challenge": 'ApiKey realm="reference"', "class": OWN + "Keys", "schemes": [], "headers": ["X-Api-Key"],
    "cookies": [], "parameters": [],
})


def variant(name, *authenticators):
    return Variant(
        name, settings={"REST_FRAMEWORK": {"DEFAULT_AUTHENTICATION_CLASSES": [path for path, _ in authenticators]}},
        model={"tokens": True}, sidecar={"DJANGO_REST_AUTHENTICATION": json.dumps([entry for _, entry in authenticators])},
    )


FIRST = variant("token-first", TOKEN, SESSION, BASIC)
LAST = variant("token-last", SESSION, BASIC, TOKEN)
ONLY = variant("token-only", TOKEN)
TWO = variant("two-keywords", SESSION, BEARER, TOKEN)
KEY = "0123456789abcdef0123456789abcdef01234567"


def token(caller, key=KEY, auth=None, path=STATS, **more):
    """A case's function: a token of this seeded caller, and a request with it."""

    def build(w):
        w.token(getattr(w, caller), key)
        return get(path, auth=auth or f"Token {key}", **more)

    return build


for one in (FIRST, LAST, ONLY):
    name = one.name.replace("-", "_")
    refused = 403 if one is LAST else 401
    for path in (STATS, EXPORT):
        view = path.strip("/").split("/")[-1].replace("-", "_")
        cases.add(f"{name}_staff_gets_{view}", 200, token("clerk", path=path), variant=one)
        cases.add(f"{name}_an_anonymous_caller_of_{view}_is_refused", refused, get(path), variant=one)
    cases.add(f"{name}_a_plain_user_is_403", 403, token("plain"), variant=one)
    cases.add(f"{name}_an_inactive_user_is_refused", refused, token("retired"), variant=one)
    for method, status in {"POST": 405, "HEAD": 405, "OPTIONS": 200}.items():
        cases.add(f"{name}_{method}_needs_no_csrf_token", status, token("clerk", method=method), variant=one)
    for what, value in {
        "no_key": "Token", "a_blank_and_no_key": "Token ", "two_words": f"Token {KEY} x", "four_words": "Token a b c",
        "an_unknown_key": "Token " + "f" * 40, "a_shorter_key": f"Token {KEY[:-1]}", "a_longer_key": f"Token {KEY}0",
        "no_utf_8": b"Token \xff\xfe", "utf_8": "Token \u0142ukasz".encode(), "a_long_key": "Token " + "x" * 6000,
        "a_quote": "Token ' OR 1=1", "a_quoted_key": f'Token "{KEY}"', "a_backslash": "Token \\",
        "a_percent": "Token %", "the_user_name": "Token clerk",
    }.items():
        cases.add(f"{name}_{what}_is_refused", refused, token("clerk", auth=value), variant=one)
    for what, value in {
        "lower_case": f"token {KEY}", "upper_case": f"TOKEN {KEY}", "a_tab": f"Token\t{KEY}", "blanks": f"  Token   {KEY}  ",
    }.items():
        cases.add(f"{name}_the_keyword_with_{what}_is_the_keyword", 200, token("clerk", auth=value), variant=one)
    for what, value in {
        "another_scheme": f"Bearer {KEY}", "no_blank": f"Token{KEY}", "a_colon": f"Token: {KEY}", "the_key_alone": KEY,
        "a_no_break_space": b"Token\xa0" + KEY.encode(), "a_comma": f"Token, {KEY}",
    }.items():
        cases.add(f"{name}_a_header_with_{what}_is_no_token", refused, token("clerk", auth=value), variant=one)

cases.add("a_key_in_upper_case_is_what_the_database_makes_of_it", {"*": 401, "mysql": 200},
          token("clerk", auth=f"Token {KEY.upper()}"), variant=FIRST)


@cases(200, variant=FIRST)
def a_token_goes_before_the_session_of_another(w):
    w.token(w.clerk, KEY)
    return get(auth=f"Token {KEY}", cookie=w.cookie(w.plain))


@cases(403, variant=LAST)
def a_session_goes_before_the_token_of_another(w):
    w.token(w.clerk, KEY)
    return get(auth=f"Token {KEY}", cookie=w.cookie(w.plain))


@cases(401, variant=FIRST)
def a_wrong_token_is_refused_whatever_the_session(w):
    return get(auth="Token x", cookie=w.staff_cookie)


@cases(200, variant=LAST)
def a_token_is_not_looked_at_behind_a_session(w):
    return get(auth="Token x", cookie=w.staff_cookie)


cases.add("basic_behind_the_token_is_taken", 200, get(auth=basic("clerk")), variant=FIRST)
cases.add("basic_is_not_taken_without_its_authenticator", 401, get(auth=basic("clerk")), variant=ONLY)


@cases(401, variant=FIRST)
def a_token_that_was_deleted_is_refused(w):
    w.token(w.clerk, KEY)
    w.execute("DELETE FROM authtoken_token")
    return get(auth=f"Token {KEY}")


for keyword in ("Bearer", "Token", "bearer"):
    cases.add(f"of_two_keywords_{keyword}_is_taken", 200, token("clerk", auth=f"{keyword} {KEY}"), variant=TWO)
for value in ("Bearer x", "Token x", "Bearer", "Token a b"):
    cases.add(f"of_two_keywords_{value}_is_refused", 403, get(auth=value), variant=TWO)

# Django's FieldError lists the token's relation to the user among the fields.
NO_TV = Variant("tokens-without-tv", settings={"DEBUG": True}, model={"tokens": True, "fields": ["is_movie_user"]})
cases.add("the_fields_of_a_model_with_tokens_are_listed", 500, get(EXPORT, auth=basic("clerk")), variant=NO_TV)

# Sessions with a challenge, or without the check of CSRF tokens; in DRF's way for the others.
CHALLENGE = variant("challenging-sessions", CHALLENGING, BASIC)
cases.add("sessions_with_a_challenge_refuse_an_anonymous_caller_with_401", 401, get(), variant=CHALLENGE)
cases.add("sessions_with_a_challenge_refuse_a_wrong_password_with_401", 401, get(auth=basic("clerk", "x")), variant=CHALLENGE)


@cases(403, variant=CHALLENGE)
def sessions_with_a_challenge_refuse_a_post_without_a_csrf_token_with_403(w):
    return get(method="POST", cookie=w.staff_cookie)


@cases(405, variant=variant("without-csrf", WITHOUT_CSRF, BASIC))
def sessions_without_the_check_need_no_csrf_token(w):
    return get(method="POST", cookie=w.staff_cookie)


# An authenticator that the sidecar lacks decides the status of refusals from its place.
for name, order, status in (("first", (KEYS, SESSION, BASIC), 401), ("last", (SESSION, KEYS), 403)):
    one = variant(f"keys-{name}", *order)
    cases.add(f"an_own_authenticator_{name}_decides_the_refusal", status, get(), variant=one)
    cases.add(f"an_own_authenticator_{name}_does_not_keep_staff_out", 200, lambda w: get(cookie=w.staff_cookie), variant=one)
    # With a wrong key and a session the first of the two authenticators decides. An empty key is none.
    build = lambda w: get(STATS, ("X-Api-Key", "wrong"), cookie=w.staff_cookie)
    cases.add(f"an_own_authenticator_{name}_refuses_a_wrong_key", 401 if name == "first" else 200, build, variant=one)
    build = lambda w: get(STATS, ("X-Api-Key", ""), cookie=w.staff_cookie)
    cases.add(f"an_own_authenticator_{name}_passes_over_an_empty_key", 200, build, variant=one)

test_answers = cases.test()
