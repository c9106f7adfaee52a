"""Where the sidecar differs from Django on purpose: the table "Where we differ" of docs/differences.md, as the suite checks it.

A case that names one of these asserts both halves: what Django did, and what the sidecar did instead.
"""

from dataclasses import dataclass, field, replace

NOT_PROVIDED = b'{"detail":"Authentication credentials were not provided."}'
INVALID = b'{"detail":"Invalid username/password."}'
DELETION = 'sessionid=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax'
# The headers of every answer of the two views.
STD = {
    "content-type": ["application/json"],
    "vary": ["Accept, Cookie"],
    "allow": ["GET, OPTIONS"],
    "x-frame-options": ["DENY"],
    "x-content-type-options": ["nosniff"],
    "referrer-policy": ["same-origin"],
    "cross-origin-opener-policy": ["same-origin"],
}


@dataclass(frozen=True)
class Difference:
    """None or empty means: as Django."""

    why: str
    sidecar_status: int | None = None
    sidecar_body: bytes | None = None
    # Replaces Django's header of that name; None: the sidecar does not send it.
    sidecar_headers: dict = field(default_factory=dict)
    # Takes the changes that Django made to the database; true if they are the expected ones.
    django_changes: object = None
    # The body is the sidecar's own: only its being there is compared.
    any_body: bool = False
    # Nor are the headers compared.
    any_headers: bool = False
    # Only the class of the status is compared.
    class_only: bool = False


def nothing(changes):
    return not changes


def session_deleted(changes):
    return list(changes.values()) == ["deleted"] and all(kind == "session" for kind, _ in changes)


def session_rotated(changes):
    return sorted(changes.values()) == ["added", "deleted"] and all(kind == "session" for kind, _ in changes)


def password_rehashed(changes):
    return len(changes) == 1 and all(
        kind == "user" and isinstance(change, dict) and change.keys() == {"password"}
        for (kind, _), change in changes.items()
    )


def rehashed_and_session_deleted(changes):
    kinds = sorted(kind for kind, _ in changes)
    return kinds == ["session", "user"]


def std(body):
    return STD | {"content-length": [str(len(body))]}


AS_DJANGO = Difference("no difference")
# A guest with a read-only role never writes on a GET.
DEAD_ROW_STAYS = Difference("a row whose auth hash is wrong is not deleted", django_changes=session_deleted)
NO_ROTATION = Difference(
    "a session made under a fallback key is accepted, not rotated",
    sidecar_headers={"set-cookie": None},
    django_changes=session_rotated,
)
NO_REHASH = Difference("a password is not re-hashed on a Basic request", django_changes=password_rehashed)
NO_REHASH_DEAD_ROW_STAYS = Difference(
    "neither a re-hash nor the deletion of a dead row", django_changes=rehashed_and_session_deleted
)
# Broken data is not an outage.
BROKEN_SESSION = Difference(
    "a session that Django trips over is no session",
    sidecar_status=403,
    sidecar_body=NOT_PROVIDED,
    sidecar_headers=std(NOT_PROVIDED),
)
# What Django signed is read as Django writes it.
NOT_AS_DJANGO_WRITES = replace(BROKEN_SESSION, why="a session in a form that Django never writes is no session")
EXPORT_FAILED = b'{"success":false,"error":"Failed to export users. Please try again.","details":null}'
OTHER_DATE = Difference(
    "a date in SQLite in neither Django's form nor that of ISO 8601 is none",
    sidecar_status=500,
    sidecar_body=EXPORT_FAILED,
    sidecar_headers=std(EXPORT_FAILED),
)
BROKEN_HASH = Difference(
    "a malformed hash verifies nothing",
    sidecar_status=403,
    sidecar_body=INVALID,
    sidecar_headers=std(INVALID),
)
# PostgreSQL's driver refuses a NUL; what it was asked for is not there all the same.
NUL_IN_NAME = replace(BROKEN_HASH, why="a NUL in a user name is no such user")
NUL_IN_KEY = replace(
    BROKEN_SESSION,
    why="a NUL in a session key is no such session",
    sidecar_headers=std(NOT_PROVIDED) | {"set-cookie": [DELETION]},
)
UNAVAILABLE_BODY = b'{"detail":"The service is temporarily unavailable."}'
DATABASE_AWAY = Difference(
    "an outage is a 503 with Retry-After, in JSON",
    sidecar_status=503,
    sidecar_body=UNAVAILABLE_BODY,
    sidecar_headers=std(UNAVAILABLE_BODY),
)
# A page of its own for people.
OWN_PAGE = Difference("text/html is the sidecar's own page", any_body=True)
PAGE_AT_THE_MOUNT = Difference("the page stands at the mount", sidecar_status=200, any_body=True, any_headers=True)
WAY_TO_THE_PAGE = replace(PAGE_AT_THE_MOUNT, sidecar_status=301)
CSRF_COOKIE_LEFT = Difference(
    "a malformed csrftoken cookie is not replaced", sidecar_headers={"vary": ["Accept, Cookie"]}
)
CSRF_COOKIE_LEFT_406 = replace(CSRF_COOKIE_LEFT, sidecar_headers={"vary": ["Accept"]})
# No body is read but login's and logout's, so that no token is found in a form.
TOKEN_MISSING = b'{"detail":"CSRF Failed: CSRF token missing."}'
FORM_NOT_READ = Difference(
    "a csrf token in a form is not read",
    sidecar_status=403,
    sidecar_body=TOKEN_MISSING,
    sidecar_headers=std(TOKEN_MISSING),
)
NOT_ALLOWED = b'{"detail":"Method \\"POST\\" not allowed."}'
HEADER_ALONE = Difference(
    "a csrf token in a form does not precede the header",
    sidecar_status=405,
    sidecar_body=NOT_ALLOWED,
    sidecar_headers=std(NOT_ALLOWED),
)
BODY_NOT_READ = replace(HEADER_ALONE, why="a body that DRF can't parse is not read")
# Parameters of Accept are read as clients send them.
NO_INDENT = Difference("an indent that no client sends is none", any_body=True)
# gunicorn's limits and pages are not Django's.
MALFORMED_HTTP = Difference("malformed HTTP is the server's business", class_only=True)
# Work that a client may ask for has a limit.
CAPPED_HASH = replace(BROKEN_HASH, why="beyond the caps the caller is not authenticated")
# Technical pages with settings and code are never reproduced.
NO_TECHNICAL_PAGE = Difference("DEBUG's technical page is Django's own", any_body=True, any_headers=True)
# gunicorn takes raw quotes and angle brackets in a target, which RFC 3986 does not; Actix refuses them.
ILLEGAL_TARGET = Difference(
    "characters that no URL may hold", sidecar_status=400, any_body=True, any_headers=True
)
# The sidecar's answers have entity tags, Django's only with ConditionalGetMiddleware, which answers the same.
NOT_MODIFIED = Difference(
    "a client that has the body already gets 304",
    sidecar_status=304,
    sidecar_body=b"",
    sidecar_headers={"allow": None, "content-length": None, "content-type": None},
)
