"""Sessions both ways, on one database: made by one server, used on the other, ended by either. And the importer."""

import json
import re
from datetime import datetime, timedelta, timezone

import pytest

from differential import compare
from differential.cases import Variant
from support.client import SessionClient
from support.django_sessions import as_time
from support.passwords import PASSWORD, pbkdf2
from support.wire import EXPORT, ask, get

ON = {"SIDECAR_LOGIN": "on"}
SHARED = Variant("login", sidecar=ON, shared=True)
OTHER_COOKIE = Variant(
    "login-other-cookie",
    sidecar=ON,
    shared=True,
    settings={
        "SESSION_COOKIE_NAME": "sid", "SESSION_COOKIE_AGE": 3600, "SESSION_COOKIE_DOMAIN": "example.com",
        "SESSION_COOKIE_PATH": "/api", "SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_HTTPONLY": False,
        "SESSION_COOKIE_SAMESITE": "Strict",
    },
)


@pytest.fixture
def scenario(bench):
    made = bench.scenario(SHARED)
    yield made
    made.clear()


@pytest.fixture
def django(scenario):
    return SessionClient(scenario.pair.django)


@pytest.fixture
def sidecar(scenario):
    if scenario.pair.sidecar is None:
        pytest.skip("the oracle alone")
    return SessionClient(scenario.pair.sidecar)


@pytest.fixture(params=["django makes it", "the sidecar makes it"])
def maker_and_other(request, django, sidecar):
    return (django, sidecar) if request.param.startswith("django") else (sidecar, django)


def test_a_session_is_good_on_the_other_side(maker_and_other):
    maker, other = maker_and_other
    key = maker.key_of(maker.log_in())
    assert (maker.status(key), other.status(key)) == (200, 200)


def test_a_logout_on_the_side_that_made_it_ends_it_on_both(maker_and_other):
    maker, other = maker_and_other
    key = maker.key_of(maker.log_in())
    assert maker.post("/api/logout/", key).status == 200
    assert (maker.status(key), other.status(key)) == (403, 403)


def test_a_logout_on_the_other_side_ends_it_on_both(scenario, maker_and_other):
    maker, other = maker_and_other
    key = maker.key_of(maker.log_in())
    assert other.post("/api/logout/", key).status == 200
    assert (maker.status(key), other.status(key)) == (403, 403)
    assert scenario.session_row(key) is None


def test_a_new_password_ends_it_on_both(scenario, maker_and_other):
    maker, other = maker_and_other
    user = scenario.user()
    key = maker.key_of(maker.log_in(user.username))
    assert (maker.status(key), other.status(key)) == (200, 200)
    scenario.execute("UPDATE auth_user SET password = ? WHERE id = ?", [pbkdf2("another"), user.id])
    # The sidecar first: Django deletes the row.
    clients = sorted((maker, other), key=lambda client: client.server is scenario.pair.django)
    assert [client.status(key) for client in clients] == [403, 403]


def test_both_write_the_same_session(scenario, django, sidecar):
    user = scenario.user()
    keys = [client.key_of(client.log_in(user.username)) for client in (django, sidecar)]
    of_django, of_sidecar = (scenario.session_data_of(key) for key in keys)
    assert of_sidecar == of_django
    assert list(of_sidecar) == list(of_django)
    assert all(re.fullmatch("[a-z0-9]{32}", key) for key in keys)
    lasts, expiries = [], []
    for key in keys:
        expiries.append(as_time(scenario.session_row(key)[1]))
    assert abs(expiries[0] - expiries[1]) < timedelta(seconds=20)
    for client in (django, sidecar):
        client.log_in(user.username)
        lasts.append(scenario.databases[0].execute("SELECT last_login FROM auth_user WHERE id = ?", [user.id])[0][0])
    assert abs(as_time(lasts[0]) - as_time(lasts[1])) < timedelta(seconds=20)
    assert abs(as_time(lasts[1]) - datetime.now(timezone.utc)) < timedelta(seconds=20)


def test_what_django_keeps_in_a_session_survives_the_same_users_login(scenario, sidecar, django):
    user = scenario.user()
    for client in (django, sidecar):
        old = scenario.session(user, data={"cart": [1, "é☃", None], "seen": True})
        new = client.key_of(client.log_in(user.username, cookie=old))
        data = scenario.session_data_of(new)
        assert (data["cart"], data["seen"]) == ([1, "é☃", None], True)
    assert new != old and scenario.session_row(old) is None, "the sidecar always makes a new key"
    assert django.status(new) == 200


def test_another_users_session_is_flushed(scenario, maker_and_other):
    client, other = maker_and_other
    old = scenario.session(scenario.clerk, data={"cart": [1]})
    new = client.key_of(client.log_in("admin", cookie=old))
    assert "cart" not in scenario.session_data_of(new)
    assert scenario.session_row(old) is None
    assert (client.status(new), other.status(new)) == (200, 200)


def test_a_session_of_the_same_user_under_an_older_password_is_flushed(scenario, maker_and_other):
    client, _ = maker_and_other
    old = scenario.session(scenario.clerk, data={"cart": [1], "_auth_user_hash": "0" * 64})
    new = client.key_of(client.log_in(cookie=old))
    assert "cart" not in scenario.session_data_of(new)
    assert scenario.session_row(old) is None


def test_an_anonymous_sessions_data_is_carried_over(scenario, maker_and_other):
    client, other = maker_and_other
    old = scenario.session(data={"cart": [1]})
    new = client.key_of(client.log_in(cookie=old))
    assert scenario.session_data_of(new)["cart"] == [1]
    assert scenario.session_row(old) is None
    assert other.status(new) == 200


def test_an_expired_or_undecodable_session_leaves_nothing_behind(scenario, maker_and_other):
    client, _ = maker_and_other
    for how in ({"data": {"cart": [1]}, "expires_in": -5}, {"session_data": "broken"}):
        old = scenario.session(**how)
        new = client.key_of(client.log_in(cookie=old))
        assert new != old and "cart" not in scenario.session_data_of(new)


@pytest.mark.parametrize("variant", [SHARED, OTHER_COOKIE], ids=lambda variant: variant.name)
def test_login_and_logout_set_djangos_cookie(bench, variant):
    scenario = bench.scenario(variant)
    if scenario.pair.sidecar is None:
        pytest.skip("the oracle alone")
    name = variant.settings.get("SESSION_COOKIE_NAME", "sessionid")
    found = []
    for server in (scenario.pair.django, scenario.pair.sidecar):
        client = SessionClient(server, name)
        login = client.log_in()
        key = client.key_of(login)
        logout = client.post("/api/logout/", key)
        found.append([(compare.headers(answer)["set-cookie"], answer.one("Vary")) for answer in (login, logout)])
    scenario.clear()
    assert found[0] == found[1]


def test_a_user_whose_hash_is_of_another_hasher_logs_in_on_the_sidecar_for_django(scenario, sidecar, django):
    user = scenario.user(encoded=pbkdf2(iterations=10))
    key = sidecar.key_of(sidecar.log_in(user.username))
    assert django.status(key) == 200


def test_a_refused_login_makes_no_session(scenario, sidecar):
    before = scenario.databases[0].rows()
    inactive = scenario.user(is_active=False)
    unusable = scenario.user(encoded="!abc")
    for username, password in (("clerk", "wrong"), ("nobody", PASSWORD), (inactive.username, PASSWORD), (unusable.username, "")):
        assert sidecar.log_in(username, password).status == 401
    assert not [key for key in scenario.databases[0].rows().keys() - before.keys() if key[0] == "session"]


def test_an_importer_imports_and_then_finds_nothing_new(django, sidecar):
    """TwentyFour/Seven's way: log in, export, take in who is new; again; the same on either server."""
    imported = []
    for client in (django, sidecar):
        known, counts = {}, []
        for _ in range(2):
            key = client.key_of(client.log_in("admin"))
            answer = ask(client.server.port, get(EXPORT, cookie=f"sessionid={key}"))
            export = json.loads(answer.body)
            assert export["success"] and export["count"] == len(export["users"])
            new = [user for user in export["users"] if user["username"] not in known and user["tv_service"]]
            known |= {user["username"]: user for user in new}
            counts.append(len(new))
        assert counts[0] > 0 and counts[1] == 0
        imported.append(known)
    assert imported[0] == imported[1]
