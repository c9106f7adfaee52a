"""What `deploy/django-settings.py` finds out about a project's authenticators, renderers and exception handler by trying them:
each variation is a settings module of one live project, without packages beside DRF."""

import concurrent.futures
import json

import pytest

from deploy import sample_project
from deploy.sample_rest import HANDLERS_MODULE, KEYS, OWN_URLS, REST

WAYS_ROUND = {
    "authenticators": "The way round is @authentication_classes([SessionAuthentication, BasicAuthentication]) on both views.",
    "renderers": "The way round is @renderer_classes([JSONRenderer, BrowsableAPIRenderer]) on both views.",
    "handler": "The way round is DRF's own for these two views, such as export_users.cls.get_exception_handler = lambda view: "
               "rest_framework.views.exception_handler.",
}
SESSION = {"kind": "session", "csrf": True, "challenge": None}
BASIC = {"kind": "basic", "challenge": 'Basic realm="api"'}
TOKEN = {"kind": "token", "keyword": "Token", "table": "authtoken_token", "key": "key", "user": "user_id", "challenge": "Token"}


def left(name, challenge=None, schemes=(), headers=(), cookies=(), parameters=()):
    return {
        "kind": "django", "class": f"shop.rest.{name}", "schemes": list(schemes), "headers": list(headers),
        "cookies": list(cookies), "parameters": list(parameters), "challenge": challenge,
    }


# name: the authenticators; DJANGO_REST_AUTHENTICATION; what the proxy must leave to Django
ACCEPTED = {
    "session_basic": (["Session", "Basic"], "session,basic", None),
    "basic_session": (["Basic", "Session"], "basic,session", None),
    "twice": (["Session", "Basic", "Session"], "session,basic", None),
    "second_session": (["Session", "rest.ExemptSession", "Basic"], "session,basic", None),
    "token_session": (["Token", "Session"], [TOKEN, SESSION], None),
    "session_token_basic": (["Session", "Token", "Basic"], [SESSION, TOKEN, BASIC], None),
    "token_alone": (["Token"], [TOKEN], None),
    "bearer": (
        ["rest.BearerToken", "Token", "Session"],
        [TOKEN | {"keyword": "Bearer", "challenge": "Bearer"}, TOKEN, SESSION], None,
    ),
    "own_model": (
        ["Session", "rest.ApiKeyToken"],
        [SESSION, TOKEN | {"keyword": "Api-Key", "challenge": 'Api-Key realm="shop"', "table": "machine keys", "key": "text",
                           "user": "owner_id"}], None,
    ),
    # Each unknown key would read the whole table.
    "token_without_index": (
        ["Session", "rest.LooseToken"], [SESSION, left("LooseToken", "Loose", ["Loose"])],
        "a header Authorization of any scheme",
    ),
    "exempt": (["rest.ExemptSession", "Basic"], [SESSION | {"csrf": False}, BASIC], None),
    "session_with_challenge": (["rest.Session401"], [SESSION | {"challenge": "Session"}], None),
    "realm": (["rest.ShopBasic", "Session"], [BASIC | {"challenge": 'Basic realm="shop"'}, SESSION], None),
    "expiring": (
        ["rest.ExpiringToken", "Session", "Basic"],
        [left("ExpiringToken", "Token", ["Token"]), SESSION, BASIC], "a header Authorization of any scheme but Basic",
    ),
    "hashed_keys": (
        ["Session", "rest.HashedToken"], [SESSION, left("HashedToken", "Hashed", ["Hashed"])],
        "a header Authorization of any scheme",
    ),
    # Its Basic comes before DRF's, so that all of that scheme is Django's.
    "own_basic": (
        ["rest.DirectoryBasic", "Basic", "Token"],
        [left("DirectoryBasic", 'Basic realm="api"', ["Basic"]), BASIC, TOKEN], "a header Authorization of any scheme but Token",
    ),
    "key_in_a_header": (
        ["Session", "rest.HeaderKey"], [SESSION, left("HeaderKey", None, [], ["X-Api-Key"])],
        "the header X-Api-Key",
    ),
    "key_of_a_proxy": (
        ["Session", "rest.ProxyUser"], [SESSION, left("ProxyUser", None, [], ["X-Forwarded-User"])],
        "the header X-Forwarded-User",
    ),
    "cookie_and_parameter": (
        ["rest.Anywhere", "Session"],
        [left("Anywhere", 'JWT realm="api"', ["JWT"], [], ["jwt"], ["token"]), SESSION],
        "a header Authorization of any scheme, or the cookie jwt, or the parameter token",
    ),
    "any_scheme": (
        ["Session", "rest.AnyScheme"], [SESSION, left("AnyScheme", None, ["*"])],
        "a header Authorization of any scheme",
    ),
}
# name: the authenticators; the entry of the second one; what it also reads
ALSO_READ = {
    "address_or_key": (["Session", "rest.AddressOrKey"], left("AddressOrKey", None, [], ["X-Api-Key"]), "REMOTE_ADDR"),
    "any_or_key": (["Session", "rest.AnyOrKey"], left("AnyOrKey", None, [], ["X-Api-Key"]), "all headers or cookies"),
    "raw_cookie_or_bearer": (
        ["Session", "rest.CookieOrBearer"], left("CookieOrBearer", None, ["Bearer"]), "HTTP_COOKIE"),
}
# name: the authenticators, and the refusals
REFUSED = {
    "remote": (["Session", "rest.Remote"], ["shop.rest.Remote reads REMOTE_USER, which the web server sets"]),
    "open_door": (["rest.OpenDoor", "Session"], ["shop.rest.OpenDoor lets a client in that shows no credentials"]),
    "by_session": (["rest.StaffSession"], ["shop.rest.StaffSession reads the request's user, by which a proxy can't know"]),
    "by_cookie": (["Basic", "rest.SessionCookie"], ["shop.rest.SessionCookie reads the session's cookie, by which a proxy"]),
    "own_csrf": (["rest.OtherCsrf"], ["shop.rest.OtherCsrf has a CSRF check of the project's own"]),
    "by_address": (["Session", "rest.ByAddress"], ["shop.rest.ByAddress reads no scheme, header, cookie or parameter, by which a"]),
    "by_all_of_meta": (["Session", "rest.ByAllOfMeta"], ["shop.rest.ByAllOfMeta reads no scheme, header, cookie or parameter"]),
    "by_any_header": (["Session", "rest.AnyHeader"], ["shop.rest.AnyHeader reads no scheme, header, cookie or parameter, by"]),
    "by_path": (["Session", "rest.ByPath"], ["shop.rest.ByPath reads no scheme, header, cookie or parameter, by which a"]),
    "by_middleware": (["Session", "rest.ByMiddleware"], ["shop.rest.ByMiddleware reads the request's jwt_user, by which a"]),
    "database": (["Session", "rest.Allowed"], ["shop.rest.Allowed can't be tried without a client and a database (RuntimeError"]),
}
# name: settings beside the authenticators, and warnings
HANDLERS = {
    "equal": ("shop.handlers.handler_of_validation_errors", []),
    # It would be another answer for wrong credentials, which a view without Basic never meets.
    "equal_for_sessions": ("shop.handlers.handler_of_wrong_credentials", []),
}
OTHER_HANDLERS = {
    "wrapped": (
        "shop.handlers.handler_that_wraps", "",
        "a client without credentials, a user who is no member of the staff, a POST, an Accept header without JSON, an unknown "
        "?format=, wrong credentials, a POST without a CSRF token"),
    "not_found": ("shop.handlers.handler_of_not_found", "", "an unknown ?format="),
    "challenge": ("shop.handlers.handler_without_challenge", '"rest_framework.authentication.BasicAuthentication"',
                  "a client without credentials, wrong credentials"),
    "raises": ("shop.handlers.handler_that_raises", "", "a POST"),
    "queries": ("shop.handlers.handler_that_queries", "", "a user who is no member of the staff"),
    "wrong_credentials": ("shop.handlers.handler_of_wrong_credentials", "", "wrong credentials"),
}
RENDERERS = {
    "same_bytes": (["shop.rest.SameJson", "Browsable"], []),
    "own_page": (["JSON", "shop.rest.BareBrowsable"], []),
    "third": (
        ["JSON", "Browsable", "shop.rest.Xml"],
        ["a client that asks for application/xml or ?format=xml (shop.rest.Xml) gets a refusal"],
    ),
}
OTHER_RENDERERS = {
    "camel": ["shop.rest.CamelJson", "Browsable"],
    "charset": ["shop.rest.CharsetJson", "Browsable"],
    "xml_first": ["shop.rest.Xml", "JSON"],
}
SHORT = {
    "JSON": "rest_framework.renderers.JSONRenderer", "Browsable": "rest_framework.renderers.BrowsableAPIRenderer",
    **{name: f"rest_framework.authentication.{name}Authentication" for name in ("Session", "Basic", "Token")},
}


def paths(names):
    return [SHORT.get(name, name.replace("rest.", "shop.rest.") if name.startswith("rest.") else name) for name in names]


def settings():
    """Every variation's settings by its name."""
    def framework(**values):
        return f"REST_FRAMEWORK = {values!r}"

    by_name = {}
    for name, case in (ACCEPTED | ALSO_READ | REFUSED).items():
        by_name[name] = framework(DEFAULT_AUTHENTICATION_CLASSES=paths(case[0]))
    for name, (handler, _) in HANDLERS.items():
        by_name[name] = framework(EXCEPTION_HANDLER=handler, DEFAULT_AUTHENTICATION_CLASSES=paths(["Session"]))
    for name, (handler, authenticator, _) in OTHER_HANDLERS.items():
        classes = {"DEFAULT_AUTHENTICATION_CLASSES": [authenticator.strip('"')]} if authenticator else {}
        by_name[name] = framework(EXCEPTION_HANDLER=handler, **classes)
    for name, case in (RENDERERS | OTHER_RENDERERS).items():
        classes = case[0] if isinstance(case, tuple) else case
        by_name[name] = framework(DEFAULT_RENDERER_CLASSES=paths(classes))
    return by_name


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What the script says of every variation, by name."""
    project = sample_project.Project(tmp_path_factory.mktemp("rest") / "project")
    project.write("shop/rest.py", REST)
    project.write("shop/handlers.py", HANDLERS_MODULE)
    project.write("people/models.py", (project.directory / "people/models.py").read_text() + KEYS)
    variations = settings()
    for name, text in variations.items():
        project.settings(name, f'INSTALLED_APPS.append("rest_framework.authtoken")\n{text}')
    project.settings("views", f"ROOT_URLCONF = 'shop.own_urls'\n{variations['wrapped'][:-1]}, "
                     "'DEFAULT_AUTHENTICATION_CLASSES': ['shop.rest.OpenDoor'], 'DEFAULT_RENDERER_CLASSES': ['shop.rest.Xml'], "
                     "'DEFAULT_THROTTLE_CLASSES': ['rest_framework.throttling.UserRateThrottle']}")
    project.settings("token_without_app", variations["token_alone"])
    classes = paths(["rest.ScriptBasic", "Session"])
    project.settings("two_challenges", f"REST_FRAMEWORK = {{'DEFAULT_AUTHENTICATION_CLASSES': {classes}}}")
    project.write("shop/own_urls.py", OWN_URLS)
    names = [*variations, "views", "token_without_app", "two_challenges"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(project.write_environment, names)))


def said(done, mark):
    return [line.removeprefix(mark) for line in done.stderr.splitlines() if line.startswith(mark)]


@pytest.mark.parametrize("name", ACCEPTED)
def test_each_authenticator_is_known_or_left_to_django(outcomes, name):
    done, file = outcomes[name]
    _, expected, proxy = ACCEPTED[name]
    assert done.returncode == 0, done.stderr
    warnings = said(done, "warning: ")
    entries = expected if isinstance(expected, list) else []
    tables = [entry["table"] for entry in entries if entry["kind"] == "token"]
    if tables:
        assert warnings.pop(0).startswith(f"The sidecar's role must read the table of tokens, {' and '.join(dict.fromkeys(tables))} (")
    assert len(warnings) == (proxy is not None)
    assert all(f" that have {proxy}: deploy/nginx-upstream.conf" in warning for warning in warnings), warnings
    found = sample_project.sourced(file)["DJANGO_REST_AUTHENTICATION"]
    assert (json.loads(found) if found.startswith("[") else found) == expected


@pytest.mark.parametrize("name", ALSO_READ)
def test_what_an_authenticator_reads_besides_is_a_warning(outcomes, name):
    done, file = outcomes[name]
    _, entry, also = ALSO_READ[name]
    assert done.returncode == 0, done.stderr
    assert json.loads(sample_project.sourced(file)["DJANGO_REST_AUTHENTICATION"]) == [SESSION, entry]
    assert said(done, "warning: ")[0] == (
        f"{entry['class']} also reads {also}: a client whom it lets in by that alone is refused by the sidecar.")


def test_a_challenge_that_depends_on_the_request_is_a_warning(outcomes):
    done, file = outcomes["two_challenges"]
    assert done.returncode == 0, done.stderr
    assert said(done, "warning: ") == [
        "export-users and export-stats: shop.rest.ScriptBasic chooses its WWW-Authenticate by X-Requested-With: the sidecar sends "
        "the one for a request without."]
    assert sample_project.sourced(file)["DJANGO_REST_AUTHENTICATION"] == "basic,session"


@pytest.mark.parametrize("name", REFUSED)
def test_an_authenticator_whose_requests_no_proxy_can_know_is_refused_with_the_way_round(outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 1 and file.read_bytes() == b"", done.stderr
    refusals = said(done, "  - ")
    for refusal, begins in zip(refusals, REFUSED[name][1], strict=True):
        assert refusal.startswith(f"export-users and export-stats: the authenticator {begins}"), refusals
        assert refusal.endswith(WAYS_ROUND["authenticators"])


def test_tokens_need_their_table(outcomes):
    done, _ = outcomes["token_without_app"]
    assert done.returncode == 1
    assert "TokenAuthentication needs rest_framework.authtoken in INSTALLED_APPS. The way round" in done.stderr


@pytest.mark.parametrize("name", HANDLERS | RENDERERS)
def test_what_answers_as_drf_does_is_accepted(outcomes, name):
    done, _ = outcomes[name]
    assert done.returncode == 0, done.stderr
    expected = [f"export-users and export-stats: {text}" for text in (HANDLERS | RENDERERS)[name][1]]
    assert [warning.rstrip(".") for warning in said(done, "warning: ")] == expected


@pytest.mark.parametrize("name", OTHER_HANDLERS)
def test_a_handler_that_answers_otherwise_is_refused_once_with_what_differs(outcomes, name):
    done, file = outcomes[name]
    path, _, differs = OTHER_HANDLERS[name]
    assert done.returncode == 1 and file.read_bytes() == b""
    assert said(done, "  - ") == [
        f"export-users and export-stats: the exception handler {path} does not answer {differs} as DRF's does. "
        + WAYS_ROUND["handler"]
    ]


@pytest.mark.parametrize("name", OTHER_RENDERERS)
def test_a_first_renderer_that_writes_otherwise_is_refused_once(outcomes, name):
    done, _ = outcomes[name]
    assert done.returncode == 1
    [refusal] = said(done, "  - ")
    assert refusal.startswith(f"export-users and export-stats: the renderers are {paths(OTHER_RENDERERS[name])[0]}, ")
    assert refusal.endswith(WAYS_ROUND["renderers"])


def test_what_the_views_name_themselves_counts_and_not_the_defaults(outcomes):
    done, file = outcomes["views"]
    assert done.returncode == 0, done.stderr
    # What of the two is not alike is said of the one.
    assert [warning[:34] for warning in said(done, "warning: ")] == [
        "The URL conf has no plain path to ", "export-stats: a client that accept"]
    assert sample_project.sourced(file)["DJANGO_REST_AUTHENTICATION"] == "session"
