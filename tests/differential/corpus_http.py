"""Random inputs for src/django's HTTP modules, with what a real Django, DRF and Python make of each.

    python tests/differential/corpus_http.py corpus.jsonl [seed]
    DJANGO_CORPUS_HTTP=corpus.jsonl cargo test --test corpus_http

One JSON object a line: kind, input, verdict. Bytes are base64. Made for Django 5.2 or newer with DRF 3.18 on Python 3.11,
in-process, under a minute. Left out are inputs whose answer is random (DRF's sets are kept in order here), which no
header can carry, or which fail inside Django (HTML 500).
"""

import base64
import datetime
import json
import random
import re
import string
import sys
import time
from unittest import mock

import django
from django.conf import settings

settings.configure(SECRET_KEY="k" * 50, ALLOWED_HOSTS=["*"], DATABASES={}, INSTALLED_APPS=["rest_framework"],
                   REST_FRAMEWORK={"UNAUTHENTICATED_USER": None})
django.setup()

from django.core.exceptions import DisallowedHost, SuspiciousOperation, TooManyFieldsSent  # noqa: E402
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from django.http import Http404, HttpResponse, HttpResponsePermanentRedirect, QueryDict  # noqa: E402
from django.middleware.common import CommonMiddleware  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402
from django.utils.dateparse import parse_datetime  # noqa: E402
from django.utils.http import http_date  # noqa: E402
from rest_framework import exceptions, negotiation  # noqa: E402
from rest_framework.authentication import BasicAuthentication, CSRFCheck  # noqa: E402
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from urllib.parse import unquote_to_bytes  # noqa: E402

rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 2)
factory = RequestFactory()
SKIP = object()


def b64(data):
    return base64.b64encode(data).decode()


def pick(*choices):
    return rng.choice(choices)


def chars(alphabet, most, least=0):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(least, most)))


def latin1(alphabet, most, least=0):
    return chars(alphabet, most, least).encode("latin-1")


def mutate(data):
    """A few bytes changed, dropped, doubled or put in."""
    data = bytearray(data)
    for _ in range(pick(0, 0, 1, 1, 2, 4)):
        at = rng.randint(0, len(data))
        data[at:at + rng.randint(0, 2)] = bytes(rng.choice(b" \t;,=\"'\\%:/&+*\x0b\xa0\xe9\xff0aZ[]") for _ in range(rng.randint(0, 2)))
    return bytes(data)


def header(data):
    """Header bytes as a WSGI server passes them; None if no server would."""
    return None if any(byte in b"\r\n\0" for byte in data) else data.strip(b" \t").decode("latin-1")


def unicode_text(most):
    ranges = [(0x20, 0x7e), (0x20, 0x7e), (0, 0x1f), (0x22, 0x22), (0x5c, 0x5c), (0x7f, 0xff), (0x100, 0x7ff),
              (0x2020, 0x2030), (0x3000, 0xd7ff), (0xe000, 0xffff), (0x1f600, 0x1f650)]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, most)))


# -- Authorization

class Captured(BasicAuthentication):
    def authenticate_credentials(self, userid, password, request=None):
        return {"username": userid, "password": password}


def basic():
    plain = pick(unicode_text(10).encode(), bytes(rng.randint(0, 255) for _ in range(rng.randint(0, 12))))
    if rng.random() < 0.8:
        plain = plain + b":" + unicode_text(8).encode()
    encoded = pick(base64.b64encode, base64.b64encode, base64.urlsafe_b64encode)(plain)
    if rng.random() < 0.2:
        encoded = encoded.rstrip(b"=")
    scheme = pick(b"Basic", b"Basic", b"Basic", b"Basic", b"Basic", b"Basic", b"basic", b"BASIC", b"Bearer", b"Basic:", b"")
    raw = scheme + pick(b" ", b" ", b" ", b" ", b" ", b"\t", b"  ", b"\x0b", b"\xa0", b"") + encoded + pick(b"", b"", b"", b"", b"", b" x", b"=", b"==QUJD")
    raw = mutate(raw) if rng.random() < 0.3 else raw
    if (text := header(raw)) is None:
        return SKIP
    try:
        verdict = Captured().authenticate(factory.get("/", HTTP_AUTHORIZATION=text)) or "not basic"
    except exceptions.AuthenticationFailed as error:
        verdict = {"malformed": str(error.detail)}
    return b64(text.encode("latin-1")), verdict


# -- Cookie, Set-Cookie

def cookie():
    chunks = []
    for _ in range(rng.randint(0, 4)):
        value = pick(chars(string.ascii_letters, 6), '"' + chars('a\\"015 \n;=é', 8) + '"', unicode_text(4))
        blank = pick("", "", " ", "\u00a0", "\x1f", "\u2003")
        chunks.append(pick("sessionid", "sessionid", "csrftoken", " ", "", "a") + blank + pick("=", "=", "=", "", " = ") + blank + value)
    raw = mutate(pick("; ", "; ", ";", ", ").join(chunks).encode())
    name = pick("sessionid", "csrftoken", "a", "")
    request = factory.get("/", HTTP_COOKIE=raw.decode("latin-1"))
    return {"header": b64(raw), "name": name}, WSGIRequest(request.environ).COOKIES.get(name)


def set_cookie():
    name = pick("sessionid", "__Host-s", "__Secure-s", "x")
    value = chars(string.ascii_lowercase + string.digits, 32, 32)
    given = {"name": name, "value": value, "max_age": pick(0, 1209600, rng.randint(-10**6, 10**9)), "now": rng.randint(0, 4 * 10**9),
             "path": pick("/", "/x", ""), "domain": pick(None, None, "", "example.com"), "secure": pick(True, False),
             "httponly": pick(True, False), "samesite": pick(None, "Lax", "Strict", "None", "lax", "NONE")}
    set_, deleted = HttpResponse(), HttpResponse()
    with mock.patch("time.time", lambda: given["now"]):
        set_.set_cookie(name, value, max_age=given["max_age"], path=given["path"], domain=given["domain"],
                        secure=given["secure"], httponly=given["httponly"], samesite=given["samesite"])
    deleted.delete_cookie(name, path=given["path"], domain=given["domain"], samesite=given["samesite"])
    return given, [set_.cookies[name].OutputString(), deleted.cookies[name].OutputString()]


# -- JSON

def json_string():
    text = unicode_text(pick(3, 20, 200))
    return text, b64(JSONRenderer().render(text))


def json_value(depth):
    kind = rng.randint(0, 7 if depth else 4)
    if kind < 5:
        return [None, True, rng.randint(-10**12, 10**12), unicode_text(8), pick('{},[]:"\\', "")][kind]
    if kind == 5:
        return {unicode_text(4): json_value(depth - 1) for _ in range(rng.randint(0, 3))}
    return [json_value(depth - 1) for _ in range(rng.randint(0, 3))]


def indented():
    value, spaces = json_value(4), rng.randint(1, 8)
    rendered = JSONRenderer().render(value, f"application/json; indent={spaces}", {})
    return {"compact": b64(JSONRenderer().render(value)), "spaces": spaces}, b64(rendered)


# -- Dates

def parse_date():
    """A text as Django stores it, whose numbers may name no date, or a date in another form of ISO 8601."""
    date = f"{rng.randint(0, 9999):04}-{rng.randint(0, 13):02}-{rng.randint(0, 31):02}"
    if rng.random() < 0.6:
        text = f"{date} {rng.randint(0, 24):02}:{rng.randint(0, 60):02}:{rng.randint(0, 60):02}" + pick("", "." + chars(string.digits, 6, 6))
    else:
        text = date + pick("", pick("T", " ") + f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}" + pick("", f":{rng.randint(0, 59):02}" + pick("", pick(".", ",") + chars(string.digits, 9, 1)))
                           + pick("", "Z", f"{pick('+', '-')}{rng.randint(0, 23):02}" + pick("", pick(":", "") + f"{rng.randint(0, 59):02}")))
    try:
        parsed = parse_datetime(text)
    except ValueError as error:
        is_stored = len(text) in (19, 26) and text[10] == " " and text[16] == ":" and text[19:20] in ("", ".") and not set("Z+,") & set(text) and text.count("-") == 2
        return text, {"error": str(error)} if is_stored else None
    return text, None if parsed is None else [parsed.isoformat(), str(parsed)]


def isoformat():
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    lowest = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
    span = datetime.datetime.max - datetime.datetime.min
    moment = lowest + datetime.timedelta(seconds=rng.randint(0, int(span.total_seconds())), microseconds=pick(0, 1, 999999, rng.randint(0, 999999)))
    offset = pick(None, 0, 3208, -3208, 7200, -12600, rng.randint(-86399, 86399))
    local = moment.replace(tzinfo=None if offset is None else datetime.timezone(datetime.timedelta(seconds=offset)))
    micros = (moment - epoch) // datetime.timedelta(microseconds=1)
    return {"micros": micros, "offset": offset}, [local.isoformat(), str(local), http_date(max(0, micros // 10**6))]


# -- Negotiation

def in_order(media_types):
    """order_parsed_by_precedence with lists that keep the header's order instead of sets."""
    buckets = [[], [], [], []]
    for media_type in media_types:
        buckets[3 - media_type.precedence].append(media_type)
    return [bucket for bucket in buckets if bucket]


negotiation.order_parsed_by_precedence = in_order


def accept():
    def parameter():
        name = pick("indent", "indent", "INDENT", "q", "q", "x", "")
        value = pick("0", "1", "2", "4", "8", "9", "-1", " 3 ", "+2", "²", "x", "0.5", "", '"4"')
        return pick(";", "; ", " ;") + name + pick("=", "=", "=", "") + value

    def media_type():
        types = pick("*/*", "application/*", "application/json", "application/json", "text/html", "text/*", "image/png", "*/json", "*", "APPLICATION/json", "application/", "")
        return types + "".join(parameter() for _ in range(pick(0, 0, 1, 1, 2, 3)))

    raw = pick(",", ", ", ", ").join(media_type() for _ in range(pick(0, 1, 1, 2, 3, 5))).encode("latin-1")
    roll = rng.random()
    if roll < 0.4:
        raw = mutate(raw)
        # Quotes, escapes, and names of RFC 2231 are read as far as clients send them.
        if any(byte in raw for byte in b"\"*<\\") and b";" in raw:
            return SKIP
    elif roll < 0.43:
        raw = pick(b"image/png,", b" ", b",", b"a/b;c=" + b"d" * 250 + b",") * pick(10, 63, 64, 4100, 8191) + raw
    # Without `=` Python keeps the case of a parameter's name; a type that holds one is no type.
    if re.search(rb"INDENT *(;|,|$)|(^|,)[^;,]*=", raw):
        return SKIP
    text = header(raw)
    if text is None:
        return SKIP
    present = rng.random() < 0.97
    format = pick(None, None, None, None, None, None, "", "json", "api", "xml", "JSON")
    request = factory.get("/", {} if format is None else {"format": format}, **({"HTTP_ACCEPT": text} if present else {}))
    given = {"accept": b64(text.encode("latin-1")) if present else None, "format": format}
    try:
        renderer, media_type = negotiation.DefaultContentNegotiation().select_renderer(
            Request(request), [JSONRenderer(), BrowsableAPIRenderer()])
        if renderer.format == "api":
            return given, {"format": "html", "indent": None}
        return given, {"format": "json", "indent": renderer.get_indent(media_type, {})}
    except Http404:
        return given, "404"
    except exceptions.NotAcceptable:
        return given, "406"
    except (TypeError, ValueError):
        return SKIP


# -- Request line and Host

def host():
    raw = pick("example.com", "a.example.com", "localhost", "x.localhost", "127.0.0.1", "[::1]", "[1:2.3]", "EXAMPLE.com", "badexample.com", ".", "")
    raw = (raw + pick("", "", "", ".", "..") + pick("", "", "", ":80", ":80", ":", ":x")).encode()
    raw = mutate(raw) if rng.random() < 0.3 else raw
    if (text := header(raw)) is None:
        return SKIP
    given = {"host": b64(text.encode("latin-1")), "debug": pick(True, False),
             "allowed": pick([], [], ["*"], ["*"], ["example.com"], [".example.com", "[::1]"], [".Example.COM"], ["", "localhost"], ["EXAMPLE.com."], ["."])}
    with override_settings(ALLOWED_HOSTS=given["allowed"], DEBUG=given["debug"]):
        try:
            factory.get("/", HTTP_HOST=text).get_host()
        except DisallowedHost:
            return given, False
    return given, True


def query():
    def part():
        return pick("format", "json", chars("ab", 2), chars("a+%;= /é", 4), "%" + chars("0123456789abcdefABCDEFg", 2), "%C3%A9", "%ff", "%e2%82", "é%82", "")

    raw = "&".join(part() + pick("=", "=", "=", "") + part() + part() for _ in range(rng.randint(0, 5)))
    if rng.random() < 0.02:
        raw = "&".join([raw] * pick(150, 200, 250)) + "&" * rng.randint(0, 800)
    try:
        return raw, [[name, value] for name, value in _fields(QueryDict(raw.encode()))]
    except TooManyFieldsSent:
        return raw, "too many"


def _fields(querydict):
    return [(name, querydict.get(name)) for name in querydict]


def path():
    raw = "/" + "".join(pick("api/", "admin", "/", "%2F", "%61", "%ff", "%C3%A9", "%e2%82", "%ed%a0%80", "%f0%9f", "%9f%98%80", "%", "%zz", ";x", "-", "~", "é", "+", '"', "%0a") for _ in range(rng.randint(0, 6)))
    query_string = pick("", "a=b", "x=%41&é", 'a"<>\\^`{|}', "[]#?/:@!$&'()*+,;=~")
    environ = factory.get("/").environ
    environ["PATH_INFO"] = unquote_to_bytes(raw).decode("latin-1")
    environ["QUERY_STRING"] = query_string.encode().decode("latin-1")
    request = WSGIRequest(environ)
    location = None
    if not request.path_info.endswith("/"):
        try:
            location = HttpResponsePermanentRedirect(CommonMiddleware(lambda r: None).get_full_path_with_slash(request))["Location"]
        except (SuspiciousOperation, ValueError):
            return SKIP
    return {"path": raw, "query": query_string}, [request.path_info, location]


# -- CSRF

SECRET = "abcdefghijklmnopqrstuvwxyzABCDEF"
MASKED = "b" * 32 + "".join(chr(ord(c) + 1) if c != "z" else "A" for c in SECRET)
TOKENS = [SECRET, SECRET, SECRET, MASKED, MASKED, "a" * 32, "c" * 64, "", "short", "é" * 32, "-" * 64, SECRET[:-1] + " "]


def csrf():
    secure = pick(True, False)
    host = pick("example.com", "example.com:8000", "[::1]:80")
    url = lambda: mutate((pick("https", "http", "HTTPS", "", "null") + pick("://", "://", ":", "//") + pick(host, host, "a.trusted.org", "evil.org", "[::1]", "[x]", "[fe80::1%1]", "[v1.a]", "")
                          + pick("", "", "/", "/p?q#f", "?q", "#")).encode()) if rng.random() < 0.5 else f"http{'s' * secure}://{host}".encode()
    given = {"method": pick("POST", "POST", "POST", "PUT", "FOO", "GET"), "secure": secure, "host": host,
             "origin": pick(None, None, url()), "referer": pick(None, url(), url()), "cookie": pick(None, *TOKENS),
             "header": pick(None, *TOKENS)}
    environ = factory.generic(given["method"], "/", b"", secure=secure, HTTP_HOST=host).environ
    for name in ("origin", "referer", "header"):
        if given[name] is not None:
            raw = given[name] if isinstance(given[name], bytes) else given[name].encode()
            if (text := header(raw)) is None:
                return SKIP
            given[name] = b64(text.encode("latin-1"))
            environ[{"header": "HTTP_X_CSRFTOKEN"}.get(name, "HTTP_" + name.upper())] = text
    request = Request(WSGIRequest(environ))
    if given["cookie"] is not None:
        request._request.COOKIES = {"csrftoken": given["cookie"]}
    check = CSRFCheck(lambda request: None)
    check.process_request(request)
    return given, check.process_view(request, None, (), {})


COUNTS = {basic: 10_000, cookie: 10_000, set_cookie: 2_000, json_string: 10_000, indented: 3_000, parse_date: 10_000, isoformat: 10_000,
          accept: 10_000, host: 3_000, query: 3_000, path: 3_000, csrf: 5_000}


def main():
    began, skipped = time.monotonic(), 0
    with open(sys.argv[1], "w", encoding="ascii") as out:
        for kind, count in COUNTS.items():
            while count:
                if (made := kind()) is SKIP:
                    skipped += 1
                    continue
                out.write(json.dumps({"kind": kind.__name__, "input": made[0], "verdict": made[1]}) + "\n")
                count -= 1
    print(f"Django {django.__version__}: {sum(COUNTS.values())} inputs, {skipped} skipped, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
