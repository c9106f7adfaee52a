"""The rows that every test database starts with: a few people who call, and the users whom the export lists.

Deterministic: fixed ids, dates and salts, so that two databases seeded on their own are equal. Rows that only one case
needs (odd hashes, broken dates) are that case's own and are not here.
"""

import base64
import hashlib
import uuid
from datetime import datetime, timezone

from accounts import variant
from accounts.models import User

# Every seeded person's password.
PASSWORD = "correct horse battery staple"

# username, is_staff, is_superuser, is_active
CALLERS = [
    ("admin", True, True, True),
    ("clerk", True, False, True),
    ("root", False, True, True),
    ("plain", False, False, True),
    ("retired", True, True, False),
]

# username, first name, last name, date_joined, is_tv_user, is_movie_user, is_active
LISTED = [
    ("tv-only", "Tina", "Vogel", "2020-01-01T00:00:00", True, False, True),
    ("tv-and-movie", "Mo", "Vie", "2020-01-01T00:00:00.000001", True, True, True),
    ("movie-only", "Max", "Film", "2020-01-02T00:00:00", False, True, True),
    ("neither", "No", "Service", "2020-01-02T00:00:01", False, False, True),
    ("tv-inactive", "Ina", "Ktiv", "2020-01-03T00:00:00", True, False, False),
    ("movie-inactive", "Ida", "Ktiv", "2020-01-03T00:00:00", False, True, False),
    ("umlaut-ä", "Jürgen", "Größe", "2019-12-31T23:59:59.999999", True, False, True),
    ("kanji-漢字", "太郎", "山田", "2021-06-15T12:30:45.120000", True, True, True),
    ("astral-𝒳", "🦀", "𝕮𝖗𝖆𝖇", "2021-06-15T12:30:45.120001", True, False, True),
    ("arabic-عربي", "علي", "\u202eمحمد", "1999-09-09T09:09:09", True, False, True),
    ("combining-e\u0301", "Zoe\u0308", "A\u030angstrom", "2000-02-29T00:00:00", True, False, True),
    ("quotes", 'The "Boss"', "O'Neil \\ Sons", "2005-05-05T05:05:05.500000", True, True, True),
    ("markup", "<script>alert(1)</script>", "&amp; <b>", "2006-06-06T06:06:06", True, False, True),
    ("controls", "tab\there\nand\rthere", "\b\f\x01\x1f\x7f\x80\x9f", "2007-07-07T07:07:07", True, False, True),
    ("separators", "line\u2028sep", "para\u2029sep", "2008-08-08T08:08:08", True, False, True),
    ("bom", "\ufeffbom", "nbsp\u00a0 zwj\u200d\ufffd", "2009-09-09T09:09:09", True, False, True),
    ("blank-names", "", "", "2010-10-10T10:10:10", True, False, True),
    ("spaces ", "  leading", "trailing  ", "2011-11-11T11:11:11", True, False, True),
    ("before-1900", "Ada", "Lovelace", "1852-11-27T12:00:00", True, False, True),
    ("far-future", "Fry", "Philip", "2999-12-31T23:59:59", True, False, True),
    ("in-the-fold", "Sommer", "Zeit", "2020-10-25T00:30:00", True, False, True),
    ("after-the-fold", "Winter", "Zeit", "2020-10-25T01:30:00", True, False, True),
    ("in-the-gap", "Lücke", "Zeit", "2021-03-28T01:30:00", True, False, True),
]


def seed():
    named = [row for row in LISTED if row[0].isascii() or not variant.ASCII_NAMES]
    people = [caller(*row) for row in CALLERS] + [listed(*row) for row in named]
    for number, person in enumerate(people, start=1):
        person.pk = uuid.UUID(int=number) if variant.KEY == "uuid" else number
    User.objects.bulk_create(people)


def caller(username, is_staff, is_superuser, is_active):
    user = person(username, "2018-01-01T00:00:00")
    user.is_staff, user.is_superuser, user.is_active = is_staff, is_superuser, is_active
    return user


def listed(username, first_name, last_name, date_joined, is_tv_user, is_movie_user, is_active):
    user = person(username, date_joined)
    user.is_active = is_active
    services = {"is_tv_user": is_tv_user, "is_movie_user": is_movie_user}
    values = {name: services[name] for name in variant.FIELDS if name not in variant.GENERATED}
    for field, value in {"first_name": first_name, "last_name": last_name, **values}.items():
        if field not in variant.NONE:
            setattr(user, field, value)
    return user


def person(username, date_joined):
    values = {
        "username": username,
        "email": f"{username.strip()}@example.com",
        "password": encoded(username),
        "date_joined": datetime.fromisoformat(date_joined).replace(tzinfo=timezone.utc),
    }
    return User(**{name: value for name, value in values.items() if name not in variant.NONE})


def encoded(username):
    """PBKDF2 at the reference hashers' cost and with a full salt, so that no login upgrades it."""
    salt = hashlib.sha256(username.encode()).hexdigest()[:22]
    digest = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt.encode(), 1000)
    return f"pbkdf2_sha256$1000${salt}${base64.b64encode(digest).decode()}"
