"""Records auth.json from a live Django: signed sessions, auth hashes, password hashes.

    python tests/vectors/record_auth.py > tests/vectors/auth.json

Needs Django, argon2-cffi and bcrypt; no database. Django's own costs, so it takes some seconds. Salts are fixed: two runs
of one version write the same file.
"""

import json
import sys
from importlib.metadata import version

import argon2
import bcrypt
import django
from django.conf import settings

KEY = "test-secret-key"
settings.configure(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=[])

from django.contrib.auth import hashers  # noqa: E402
from django.core import signing  # noqa: E402
from django.utils.crypto import salted_hmac  # noqa: E402

SALT = "django.contrib.sessions.SessionStore"
AUTH_HASH_SALT = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
NOW = 1_700_000_000


def session(data, key, now):
    signing.time.time = lambda: now
    return {"json": json.dumps(data, separators=(",", ":")), "key": key, "unix_seconds": now, "text": signing.dumps(data, key=key, salt=SALT, compress=True)}


def auth_hash(password, key):
    return salted_hmac(AUTH_HASH_SALT, password, secret=key, algorithm="sha256").hexdigest()


LOGIN = {
    "_auth_user_id": "1",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": auth_hash("pbkdf2_sha256$1$abc$def", KEY),
}


def argon2_hash(password, variety, number):
    text = argon2.low_level.hash_secret(password.encode(), b"saltsaltsaltsaltsaltsa", 2, 1024, 8, 32, variety, number)
    return "argon2" + text.decode()


def passwords():
    encode = {cls.algorithm: cls().encode for cls in (hashers.PBKDF2PasswordHasher, hashers.PBKDF2SHA1PasswordHasher, hashers.BCryptSHA256PasswordHasher, hashers.BCryptPasswordHasher, hashers.ScryptPasswordHasher)}  # fmt: skip
    salt22, bcrypt_salt = "0123456789abcdefABCDEF", b"$2b$04$abcdefghijklmnopqrstuu"
    cases = []

    def case(password, encoded):
        for hasher in (hashers.PBKDF2PasswordHasher, hashers.PBKDF2SHA1PasswordHasher, hashers.Argon2PasswordHasher, hashers.BCryptSHA256PasswordHasher, hashers.BCryptPasswordHasher, hashers.ScryptPasswordHasher):  # fmt: skip
            if encoded.split("$")[0] == hasher.algorithm:
                try:
                    verdict = "correct" if hasher().verify(password, encoded) else "wrong"
                except Exception as error:
                    verdict = "raises " + type(error).__name__
        cases.append({"password": password, "encoded": encoded, "verdict": verdict})

    case("pÿ", encode["pbkdf2_sha256"]("pÿ", "salt", 2))
    case("secret", encode["pbkdf2_sha256"]("secret", salt22))
    case("☃" * 30, encode["pbkdf2_sha256"]("☃" * 30, "säl☃", 1000))
    case("p\x00", encode["pbkdf2_sha256"]("p", "salt", 2))
    case("secret", encode["pbkdf2_sha1"]("secret", salt22, 1000))
    for variety in argon2.low_level.Type:
        for number in (16, 19):
            case("secret", argon2_hash("secret", variety, number))
    case("secret", argon2_hash("secret", argon2.low_level.Type.I, 16).replace("$v=16", ""))
    case("secret", argon2_hash("secret", argon2.low_level.Type.ID, 19) + "A")
    case("secret", argon2_hash("secret", argon2.low_level.Type.ID, 19) + "\x00ignored")
    for spelling in ("m=01024", "m=+1024", "m=1024 "):
        case("secret", argon2_hash("secret", argon2.low_level.Type.ID, 19).replace("m=1024", spelling))
    case("secret", argon2_hash("secret", argon2.low_level.Type.ID, 19).replace("v=19", "v=019"))
    case("secret", hashers.Argon2PasswordHasher().encode("secret", salt22))
    for prefix in (b"$2a$", b"$2b$", b"$2y$"):
        case("secret", encode["bcrypt_sha256"]("secret", bcrypt_salt.replace(b"$2b$", prefix)))
    case("x" * 200, encode["bcrypt_sha256"]("x" * 200, bcrypt_salt))
    for length in (0, 71, 72):
        case("x" * length, encode["bcrypt"]("x" * length, bcrypt_salt))
    case("x" * 73, encode["bcrypt"]("x" * 72, bcrypt_salt))
    case("a\x00b", encode["bcrypt"]("a\x00b", bcrypt_salt))
    case("secret", encode["scrypt"]("secret", salt22))
    case("secret", encode["scrypt"]("secret", "säl☃", 16, 8, 1))
    # OpenSSL's 32 MiB
    case("secret", "scrypt$32768$salt$8$1$" + "A" * 86 + "==")
    good = encode["pbkdf2_sha256"]("secret", "salt", 2)
    for broken in ("pbkdf2_sha256$02$", "pbkdf2_sha256$0$", "pbkdf2_sha256$-2$", "pbkdf2_sha256$ 2$", "pbkdf2_sha256$2$$", "pbkdf2_sha256$x$"):
        case("secret", good.replace("pbkdf2_sha256$2$", broken))
    for broken in (good.rstrip("="), good + "\n", good + "$", good + "=", "pbkdf2_sha256", "pbkdf2_sha256$2$salt"):
        case("secret", broken)
    case("secret", "pbkdf2_sha256$99999999999$salt$x")
    return cases


big = {"x": ["é☃", 1.5, None, True, {"n": []}] * 30}
print(
    json.dumps(
        {
            "versions": {"django": django.get_version(), "python": sys.version.split()[0], "bcrypt": bcrypt.__version__, "argon2-cffi": version("argon2-cffi")},
            "sessions": [session(*args) for args in [({"a": "é☃"}, KEY, NOW), ({"a": "x" * 60}, KEY, NOW), ({}, KEY, 0), (LOGIN, KEY, NOW), (big, "schlüssel ☃", -61)]],
            "auth_hashes": [{"password": p, "key": k, "hash": auth_hash(p, k)} for p, k in [("pbkdf2_sha256$1$abc$def", KEY), ("", KEY), ("é", "schlüssel ☃")]],
            "passwords": passwords(),
        },
        indent=1,
    )
)
