"""Compares Django's answer with the sidecar's: status, headers and body."""

import re

# Headers of gunicorn and Actix, not of Django.
IGNORED = {"server", "date", "connection", "transfer-encoding", "keep-alive"}
# Headers that the sidecar may add.
SIDECAR_EXTRAS = {"cache-control", "x-request-id", "retry-after", "etag", "content-security-policy"}


def differences(django, sidecar, difference, compare_body=True):
    """Texts on how the sidecar's answer differs from Django's answer as changed by the named difference."""
    found = []
    status = difference.sidecar_status or django.status
    if sidecar.status != status:
        found.append(f"status: Django {django.status}, sidecar {sidecar.status}, expected {status}")
    if django.version.startswith("HTTP/1") and sidecar.version != django.version and not difference.class_only:
        found.append(f"version: Django {django.version}, sidecar {sidecar.version}")
    if difference.class_only:
        return found if sidecar.status // 100 != django.status // 100 else []
    if difference.any_headers:
        return found
    own = headers(sidecar)
    expected = expected_headers(django, difference)
    if "content-length" not in expected:
        # Above CommonMiddleware Django sets no length and gunicorn sends chunks: framing, not an answer.
        own.pop("content-length", None)
    found += header_differences(expected, own)
    if difference.sidecar_body is not None:
        if sidecar.body != difference.sidecar_body:
            found.append(f"body: sidecar {sidecar.body[:2000]!r}, expected {difference.sidecar_body!r}")
    elif compare_body and not difference.any_body and sidecar.body != django.body:
        found.append(first_difference(django.body, sidecar.body))
    return found


def header_differences(expected, found):
    texts = []
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name) and not (name in SIDECAR_EXTRAS and name not in expected):
            texts.append(f"header {name}: expected {expected.get(name)}, sidecar {found.get(name)}")
    return texts


def expected_headers(django, difference):
    expected = headers(django)
    for name, values in difference.sidecar_headers.items():
        if values is None:
            expected.pop(name, None)
        else:
            expected[name] = values
    if difference.any_body and "content-length" in expected:
        expected["content-length"] = AnyValue()
    return expected


class AnyValue:
    """Equal to everything: the value of a header that depends on a body which is not compared."""

    def __eq__(self, other):
        return True

    def __repr__(self):
        return "anything"


def headers(answer):
    """{lower-case name: sorted values}, in the form in which two answers are compared."""
    found = {}
    for name, value in answer.headers:
        name = name.lower()
        if name in IGNORED:
            continue
        if name == "set-cookie":
            if value.startswith("csrftoken="):
                continue
            value = normalised_cookie(value)
        if name == "allow":
            value = ", ".join(sorted(part.strip() for part in value.split(",")))
        found.setdefault(name, []).append(value)
    return {name: sorted(values) for name, values in found.items()}


def normalised_cookie(value):
    """A new session's key and expiry differ from one answer to the next; everything else of the cookie stays."""
    if "Max-Age=0" in value:
        return value
    value = re.sub(r"^([^=]+)=[a-z0-9]{32}(?=;|$)", r"\1=<key>", value)
    return re.sub(r"expires=[^;]+ GMT", "expires=<time>", value)


def first_difference(django, sidecar):
    at = next((i for i, (a, b) in enumerate(zip(django, sidecar)) if a != b), min(len(django), len(sidecar)))
    start = max(0, at - 40)
    return f"body differs at byte {at}: Django {django[start:at + 80]!r}, sidecar {sidecar[start:at + 80]!r}"
