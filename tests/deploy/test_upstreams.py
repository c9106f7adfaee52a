"""What a proxy with the files of deploy/ sends to a sidecar, and which server it tries next. Stubs take the sidecars' places."""

import re
from contextlib import ExitStack

import pytest

from deploy import stubs
from deploy.proxies import uncommented
from deploy.sites import is_the_sidecars
from support import wire
from support.waiting import await_true
from support.wire import EXPORT, Request, get

PROXIES = pytest.mark.parametrize("kind", ["nginx", "caddy"])


@pytest.fixture
def stub():
    """Makes stubs that are gone with the test."""
    with ExitStack() as stack:
        yield lambda *answer: stack.enter_context(stubs.Stub(*answer))


@PROXIES
def test_the_headers_say_who_called_and_how(site, kind, stub):
    sidecar = stub()
    here = site(kind, stubs=[sidecar.port])
    host = f"watchtower.example.com:{here.port}"
    lies = [
        ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"), ("X-Request-ID", "chosen"),
        ("Cookie", "a=b"), ("Authorization", "Basic eDp5"), ("If-None-Match", '"tag"'),
        ("Accept-Encoding", "gzip, zstd"),
    ]
    for _ in range(2):
        assert wire.ask(here.port, get(f"{EXPORT}?a=%2Fb", *lies, host=host)).status == 200
    ids = []
    for method, target, version, headers in sidecar.seen:
        assert (method, target, version) == ("GET", f"{EXPORT}?a=%2Fb", "HTTP/1.1")
        assert headers.get_all("Host") == [host]
        assert headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
        assert headers.get_all("X-Forwarded-Proto") == ["http"]
        assert headers.get("Connection") is None
        for name, value in lies[3:]:
            assert headers.get_all(name) == [value]
        ids += headers.get_all("X-Request-ID")
    assert len(set(ids)) == 2 and all(re.fullmatch(r"[0-9a-f-]{32,36}", one) for one in ids)


@PROXIES
def test_a_get_is_asked_again_elsewhere_and_a_post_that_was_sent_is_not(site, kind, stub):
    for method, expected, times in (("GET", 200, 2), ("POST", 502, 1)):
        broken = stub(b"")
        whole = stub()
        # Both get requests, in either order.
        here = site(kind, stubs=[broken.port, whole.port])
        request = Request(method, EXPORT, [("Content-Type", "application/json")], b"{}" if method == "POST" else b"")
        statuses = [wire.ask(here.port, request).status for _ in range(2)]
        assert sorted(statuses) == sorted([200, expected])
        # Caddy asks the same one again where it broke a connection that had been used before.
        assert len(broken.seen) == 1 or (method == "GET" and kind == "caddy")
        assert len(whole.seen) == times


@PROXIES
def test_an_unreachable_sidecar_is_passed_over_for_a_post_too(site, kind, stub):
    with stubs.Stub() as gone:
        pass
    whole = stub()
    here = site(kind, stubs=[gone.port, whole.port])
    request = Request("POST", EXPORT, [("Content-Type", "application/json")], b"{}")
    posted = lambda: [wire.ask(here.port, request).status for _ in range(8)] == [200] * 8  # noqa: E731
    if kind == "caddy":
        # Once its health check has seen it; what failed until then does not count against the other.
        await_true(posted, 8, "the one that is there gets all")
    else:
        assert posted()
        assert len(whole.seen) == 8
    assert wire.ask(here.port, get(EXPORT)).status == 200


@PROXIES
def test_a_busy_sidecar_has_the_last_word_and_is_not_taken_for_dead(site, kind, stub):
    busy = [stub(stubs.BUSY), stub(stubs.BUSY)]
    here = site(kind, stubs=[one.port for one in busy])
    for _ in range(20):
        answer = wire.ask(here.port, get(EXPORT))
        assert (answer.status, answer.one("Retry-After"), answer.body) == (503, "7", b"busy")
    assert [len(one.seen) for one in busy] == [10, 10]


@PROXIES
def test_without_any_sidecar_the_client_is_told_so_soon(site, kind):
    here = site(kind)
    here.sidecars[0].stop()
    # Caddy waits a few seconds for one that comes back.
    assert wire.ask(here.port, get(EXPORT)).status in (502, 503)


def test_django_stands_in_where_the_operator_wants_that(site):
    backup = lambda text: uncommented(text, "server 127.0.0.1:8001 backup;")  # noqa: E731
    here = site("nginx", upstream_edit=backup)
    cookie = here.log_in()
    first = wire.ask(here.port, get(EXPORT, cookie=cookie))
    assert first.status == 200 and is_the_sidecars(first)
    here.sidecars[0].stop()
    answer = wire.ask(here.port, get(EXPORT, cookie=cookie))
    assert (answer.status, answer.body) == (200, first.body) and not is_the_sidecars(answer)
