"""Encoded passwords in Django's formats, made without Django; cheap by default."""

import base64
import hashlib

PASSWORD = "correct horse battery staple"
SALT = "0123456789abcdefghijKL"
# The reference hashers' cost (tests/django_project/reference/hashers.py): at this count no login upgrades a hash.
ITERATIONS = 1000


def pbkdf2(password=PASSWORD, iterations=ITERATIONS, salt=SALT, digest="sha256"):
    raw = password if isinstance(password, bytes) else password.encode()
    key = hashlib.pbkdf2_hmac(digest, raw, salt.encode(), iterations)
    name = {"sha256": "pbkdf2_sha256", "sha1": "pbkdf2_sha1"}[digest]
    return f"{name}${iterations}${salt}${base64.b64encode(key).decode()}"


def scrypt(password=PASSWORD, n=16, r=8, p=1, salt=SALT):
    key = hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=r, p=p, maxmem=64 << 20, dklen=64)
    return f"scrypt${n}${salt}${r}${p}${base64.b64encode(key).decode()}"


def argon2(password=PASSWORD, kind="ID", memory=64, time=1, lanes=1, salt=SALT):
    from argon2.low_level import Type, hash_secret

    encoded = hash_secret(password.encode(), salt.encode(), time, memory, lanes, 32, Type[kind])
    return "argon2" + encoded.decode()


def bcrypt(password=PASSWORD, rounds=4, prefix=b"2b"):
    import bcrypt as library

    raw = password if isinstance(password, bytes) else password.encode()
    return "bcrypt$" + library.hashpw(raw, library.gensalt(rounds, prefix)).decode()


def bcrypt_sha256(password=PASSWORD, rounds=4, prefix=b"2b"):
    digest = hashlib.sha256(password.encode()).hexdigest().encode()
    return "bcrypt_sha256$" + bcrypt(digest, rounds, prefix).removeprefix("bcrypt$")


def basic(username, password=PASSWORD, scheme="Basic"):
    """The value of an Authorization header."""
    raw = b":".join(part if isinstance(part, bytes) else part.encode() for part in (username, password))
    return f"{scheme} {base64.b64encode(raw).decode()}"
