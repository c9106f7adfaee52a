"""Session rows as Django writes them, made without Django: signing, compression, auth hash. Every part can be made wrong."""

import base64
import hashlib
import hmac
import json
import re
import time
import zlib
from datetime import datetime, timezone

SECRET_KEY = "reference-secret-key"
SALT = "django.contrib.sessions.SessionStore"
BACKEND = "django.contrib.auth.backends.ModelBackend"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base62(number):
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return digits or "0"


def salted_hmac(salt, value, key, digest="sha256"):
    derived = hashlib.new(digest, (salt + key).encode()).digest()
    return hmac.new(derived, value.encode("latin-1"), digest)


def auth_hash(password_column, key=SECRET_KEY):
    """`AbstractBaseUser.get_session_auth_hash` of the password column."""
    salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    return salted_hmac(salt, password_column, key).hexdigest()


def login_data(user_id, password_column, **more):
    """What `login()` stores in a session; a key with the value `...` is left out."""
    data = {
        "_auth_user_id": str(user_id),
        "_auth_user_backend": BACKEND,
        "_auth_user_hash": auth_hash(password_column),
    }
    return {name: value for name, value in (data | more).items() if value is not ...}


def payload(data, compress=None):
    """The first part of session_data. `data` is JSON text, bytes, or an object; compressed if that is shorter, or as told."""
    if not isinstance(data, bytes):
        text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
        data = text.encode("latin-1")
    squeezed = zlib.compress(data)
    if compress is None:
        compress = len(squeezed) < len(data) - 1
    return "." + base64url(squeezed) if compress else base64url(data)


def sign(value, key=SECRET_KEY, salt=SALT, timestamp=None, digest="sha256"):
    """`TimestampSigner.sign`; `timestamp` is the base62 text itself when it is a string."""
    if timestamp is None:
        timestamp = int(time.time())
    text = timestamp if isinstance(timestamp, str) else base62(timestamp)
    value = f"{value}:{text}"
    return f"{value}:{base64url(salted_hmac(salt + 'signer', value, key, digest).digest())}"


def session_data(data, key=SECRET_KEY, compress=None, **how):
    return sign(payload(data, compress), key, **how)


def decoded(session_data):
    """The object in a session_data column; its signature is not looked at."""
    text = session_data.rsplit(":", 2)[0]
    raw = base64.urlsafe_b64decode(text.lstrip(".") + "==")
    return json.loads(zlib.decompress(raw) if text.startswith(".") else raw)


def as_time(value):
    """The time in a column, as its database's driver returns it. A text must be one that Django writes; PostgreSQL adds the offset."""
    if isinstance(value, str):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6}|\.\d+\+00|\+00)?", value), value
        value = datetime.fromisoformat(re.sub(r"\.\d+", lambda fraction: fraction[0].ljust(7, "0"), value))
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
