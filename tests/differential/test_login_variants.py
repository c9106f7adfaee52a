"""Logins in depth: other settings and user models, every kind of older session, and data that only Python's JSON writes."""

import json
from datetime import timedelta

import pytest

from differential import compare
from differential.cases import Variant
from support import django_sessions
from support.client import SessionClient
from support.django_sessions import as_time
from support.passwords import pbkdf2
from support.wire import EXPORT

ON = {"SIDECAR_LOGIN": "on"}
BACKENDS = "django.contrib.auth.backends."


def variant(name, **more):
    return Variant(f"login-{name}", sidecar=ON, shared=True, **more)


DEFAULT = variant("deep")
VARIANTS = [
    variant("berlin", settings={"USE_TZ": False, "TIME_ZONE": "Europe/Berlin"}),
    variant("new-york", settings={"USE_TZ": False, "TIME_ZONE": "America/New_York"}),
    variant("aware-kathmandu", settings={"TIME_ZONE": "Asia/Kathmandu"}),
    variant("uuid", model={"key": "uuid"}),
    variant("e-mail", model={"username_field": "email"}),
    variant("other-table", model={"table": "Accounts user", "key": "int"}),
    variant("own-key", settings={"SECRET_KEY": "ein-schlüssel-mit-☃", "SECRET_KEY_FALLBACKS": ["older-key"]}),
    variant("backends", settings={"AUTHENTICATION_BACKENDS": [BACKENDS + "RemoteUserBackend", BACKENDS + "ModelBackend"]}),
    variant("lax-cookie", settings={"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": True}),
    variant("plain-cookie", settings={"SESSION_COOKIE_SAMESITE": False, "SESSION_COOKIE_AGE": 60, "SESSION_COOKIE_DOMAIN": ".example.com"}),
    variant("lower-case-cookie", settings={"SESSION_COOKIE_SAMESITE": "lax"}),
    variant("host-cookie", settings={"SESSION_COOKIE_NAME": "__Host-sid", "SESSION_COOKIE_SECURE": True}),
]


@pytest.fixture
def clients(bench, request):
    """The scenario of a variant (the default one, unless the test has a parameter), and clients of Django and of the sidecar."""
    scenario = bench.scenario(getattr(request, "param", DEFAULT))
    if scenario.pair.sidecar is None:
        pytest.skip("the oracle alone")
    name = scenario.variant.settings.get("SESSION_COOKIE_NAME", "sessionid")
    yield scenario, SessionClient(scenario.pair.django, name), SessionClient(scenario.pair.sidecar, name)
    scenario.clear()


REMOTE_ONLY = variant("remote-only", settings={"AUTHENTICATION_BACKENDS": [BACKENDS + "RemoteUserBackend"]})
in_every_variant = pytest.mark.parametrize("clients", VARIANTS, indirect=True, ids=lambda variant: variant.name)


def user_of(scenario, **columns):
    """A user of the test's own, and the name by which the user logs in."""
    user = scenario.user(**columns)
    by_email = scenario.variant.model.get("username_field") == "email"
    return user, user.username + "@example.com" if by_email else user.username


@in_every_variant
def test_a_session_made_by_either_server_is_good_on_both_until_either_ends_it(clients):
    scenario, *both = clients
    for maker in both:
        for ender in both:
            _, name = user_of(scenario)
            key = maker.key_of(maker.log_in(name))
            assert [client.status(key) for client in both] == [200, 200]
            assert ender.post("/api/logout/", key).status == 200
            assert [client.status(key) for client in both] == [403, 403]
            assert scenario.session_row(key) is None


@in_every_variant
def test_both_write_the_same_rows_and_cookies(clients):
    scenario, *both = clients
    table = scenario.databases[0].quoted(scenario.variant.table)
    found, times = [], []
    for client in both:
        user, name = user_of(scenario)
        login = client.log_in(name)
        key = client.key_of(login)
        data = scenario.session_data_of(key)
        assert data.pop("_auth_user_id") == str(user.id)
        assert data.pop("_auth_user_hash") == django_sessions.auth_hash(
            user.password_column, scenario.variant.settings.get("SECRET_KEY", django_sessions.SECRET_KEY)
        )
        last_login = scenario.databases[0].execute(f"SELECT last_login FROM {table} WHERE username = ?", [user.username])[0][0]
        times.append([as_time(last_login), as_time(scenario.session_row(key)[1])])
        logout = client.post("/api/logout/", key)
        found.append([data] + [(compare.headers(answer)["set-cookie"], answer.one("Vary")) for answer in (login, logout)])
    assert found[0] == found[1]
    for of_django, of_sidecar in zip(*times):
        assert abs(of_django - of_sidecar) < timedelta(seconds=20)


def hashed(user, key=django_sessions.SECRET_KEY):
    return {"_auth_user_hash": django_sessions.auth_hash(user.password_column, key)}


# What the client brings along, by the user who then logs in: the cookie's value.
OLDER = {
    "no cookie": lambda w, user: None,
    "an empty cookie": lambda w, user: "",
    "a key that is too short": lambda w, user: "short",
    "a key of no row": lambda w, user: "abcdefghijklmnopqrstuvwxyz012345",
    "a row that has expired": lambda w, user: w.session(data={"cart": 1}, expires_in=-5),
    "a row with a broken signature": lambda w, user: w.session(session_data=django_sessions.session_data({"cart": 1})[:-1]),
    "a row of another key": lambda w, user: w.session(data={"cart": 1}, key="foreign"),
    "an empty column": lambda w, user: w.session(session_data=""),
    "an anonymous session": lambda w, user: w.session(data={"cart": 1}),
    "an anonymous session without data": lambda w, user: w.session(data={}),
    "an anonymous session with a hash": lambda w, user: w.session(data={"cart": 1, "_auth_user_hash": "x"}),
    "a session of another user": lambda w, user: w.session(w.admin, data={"cart": 1}),
    "a session of a user who is gone": lambda w, user: w.session(data={"_auth_user_id": "999999", "cart": 1} | hashed(user)),
    "a session of an inactive user": lambda w, user: w.session(w.retired, data={"cart": 1}),
    "a session of another user with this user's hash": lambda w, user: w.session(w.admin, data={"cart": 1} | hashed(user)),
    "a session with a wrong hash": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_hash": "0" * 64}),
    "a session without a hash": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_hash": ...}),
    "a session with an empty hash": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_hash": ""}),
    "a session with the hash null": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_hash": None}),
    "a session of an older password": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_hash": django_sessions.auth_hash(pbkdf2("older"))}),
}
# Of the same user with a good hash: Django keeps the key, the sidecar makes a new one.
SAME_USER = {
    "the user's own session": lambda w, user: w.session(user, data={"cart": 1}),
    "the user's own session of a backend that is gone": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_backend": "gone"}),
    "the user's own session without a backend": lambda w, user: w.session(user, data={"cart": 1, "_auth_user_backend": ...}),
}


@pytest.mark.parametrize("older", [*OLDER, *SAME_USER])
def test_a_login_on_top_of(older, clients):
    """The same cookie, data and number of rows on both servers, and the older row gone from both or from neither."""
    scenario, *both = clients
    found = []
    for client in both:
        user = scenario.user()
        old = (OLDER | SAME_USER)[older](scenario, user)
        before = scenario.databases[0].rows()
        login = client.log_in(user.username, cookie=old)
        key = client.key_of(login)
        changed = scenario.changes_since(before)
        data = {name: value for name, value in scenario.session_data_of(key).items() if not name.startswith("_auth_user_")}
        backend = scenario.session_data_of(key)["_auth_user_backend"]
        rows = sorted("rewritten" if isinstance(what, dict) else what for (kind, _), what in changed.items() if kind == "session")
        assert set(changed["user", user.id]) == {"last_login"}
        assert both[0].status(key) == both[1].status(key) == 200
        found.append((data, backend, rows, compare.headers(login)["set-cookie"], login.one("Vary")))
    if older in SAME_USER:
        assert (found[0][2], found[1][2]) == (["rewritten"], ["added", "deleted"])
        found = [one[:2] + one[3:] for one in found]
    assert found[0] == found[1]


@pytest.mark.parametrize("older", OLDER | SAME_USER)
def test_a_logout_from(older, clients):
    scenario, *both = clients
    found = []
    for client in both:
        user = scenario.user()
        old = (OLDER | SAME_USER)[older](scenario, user)
        before = scenario.databases[0].rows()
        logout = client.post("/api/logout/", old)
        changed = scenario.changes_since(before)
        assert logout.status == 200
        found.append((sorted(changed.values()), compare.headers(logout).get("set-cookie"), logout.one("Vary")))
    assert found[0] == found[1]


# JSON texts as Python writes and reads them, in a payload that a login carries over.
VALUES = {
    "a_hundred_digits": "[1" + "0" * 100 + ",-" + "9" * 100 + "]",
    "floats": "[1.0,-0.0,1e22,1e-7,0.1,1.7976931348623157e+308,5e-324,123456789012345680.0]",
    "a_float_too_large": "[1e999,-1e999]",
    "a_lone_surrogate": '["\\ud800","\\udfff x"]',
    "a_pair_of_surrogates": '["\\ud83e\\udd80"]',
    "latin_1_as_bytes": '["\xe9\xff"]',
    "escapes": '["\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u007f<>&"]',
    "keys_twice": '{"a":1,"b":2,"a":3}',
    "odd_keys": '{"":1,"\\u0000":2,"\\u2603":3,"\\ud800":4}',
    "nesting": "[" * 60 + "]" * 60,
    "blanks": '[ 1 ,\\t{ "a" : [ ] } ]'.replace("\\t", "\t"),
    "constants": "[true,false,null]",
    "much_of_the_same": json.dumps(["the same text"] * 2000),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_login_carries_over(name, clients):
    """Django, reading what either server wrote, finds what was there."""
    scenario, *both = clients
    texts = []
    for client in both:
        user = scenario.user()
        old = scenario.session(data='{"x":' + VALUES[name] + ',"last":1}')
        data = scenario.session_data_of(client.key_of(client.log_in(user.username, cookie=old)))
        texts.append(json.dumps({key: value for key, value in data.items() if not key.startswith("_auth")}))
    assert texts[0] == texts[1]


def test_a_large_session_of_djangos_is_compressed_and_survives_on_both(clients):
    scenario, *both = clients
    cart = [f"article {number}" for number in range(500)]
    for client in both:
        user = scenario.user()
        old = scenario.session(user, data={"cart": cart}, compress=True)
        assert [one.status(old) for one in both] == [200, 200]
        new = client.key_of(client.log_in(user.username, cookie=old))
        assert scenario.session_row(new)[0].startswith(".")
        assert scenario.session_data_of(new)["cart"] == cart
        assert [one.status(new, EXPORT) for one in both] == [200, 200]


EXPIRIES = {"of_five_minutes": 300, "at_the_end_of_the_browser": 0, "that_is_null": None, "of_a_year": 31_536_000}


@pytest.mark.parametrize("name", EXPIRIES)
def test_an_expiry_of_the_session_s_own(name, clients):
    """`set_expiry` leaves `_session_expiry` in the data, which outlives a login."""
    scenario, *both = clients
    cookies, expiries = [], []
    for client in both:
        user = scenario.user()
        old = scenario.session(data={"_session_expiry": EXPIRIES[name]})
        login = client.log_in(user.username, cookie=old)
        cookies.append(compare.headers(login)["set-cookie"])
        expiries.append(as_time(scenario.session_row(client.key_of(login))[1]))
    assert cookies[0] == cookies[1]
    assert abs(expiries[0] - expiries[1]) < timedelta(seconds=20)


def test_a_login_changes_last_login_alone(clients):
    """Nor does the sidecar re-hash an older password, which Django does."""
    scenario, _, sidecar = clients
    user = scenario.user(encoded=pbkdf2(iterations=10))
    before = scenario.databases[0].rows()
    sidecar.key_of(sidecar.log_in(user.username))
    assert set(scenario.changes_since(before)["user", user.id]) == {"last_login"}


@pytest.mark.parametrize("clients", [REMOTE_ONLY], indirect=True, ids=["remote-only"])
def test_without_a_backend_that_checks_passwords_every_login_fails(clients):
    scenario, *both = clients
    assert [client.log_in().status for client in both] == [401, 401]
    assert not [key for key in scenario.databases[0].rows() if key[0] == "session"]
