"""Random session data and password hashes with a live Django's verdict on each, for tests/corpus_auth.rs.

    python tests/differential/corpus_auth.py OUTPUT [COUNT] [SEED]

Writes COUNT (10,000) lines of JSON of each kind, "session" and "password". Needs Django, argon2-cffi and bcrypt; no
database. The costs are lowered so that it takes seconds: only the first line's "iterations" matter to the other side.
"""

import base64
import json
import random
import sys
import uuid
import zlib

import bcrypt
import argon2
from django.conf import settings

KEY, FALLBACKS, FOREIGN = "test-secret-key", ["older-key", "ältester ☃"], "foreign"
ITERATIONS = 3

settings.configure(
    SECRET_KEY=KEY,
    SECRET_KEY_FALLBACKS=FALLBACKS,
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers." + name
        for name in (
            "PBKDF2PasswordHasher",
            "PBKDF2SHA1PasswordHasher",
            "Argon2PasswordHasher",
            "BCryptSHA256PasswordHasher",
            "BCryptPasswordHasher",
            "ScryptPasswordHasher",
        )
    ],
)

import django  # noqa: E402
from django.contrib.auth import hashers  # noqa: E402
from django.core import signing  # noqa: E402
from django.db import models  # noqa: E402
from django.utils.crypto import constant_time_compare, salted_hmac  # noqa: E402

hashers.PBKDF2PasswordHasher.iterations = ITERATIONS
hashers.ScryptPasswordHasher.work_factor = 2
SALT = "django.contrib.sessions.SessionStore"
AUTH_HASH_SALT = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
PASSWORD_COLUMN = "pbkdf2_sha256$1$abc$def"
INTEGER, UUID = models.BigAutoField(primary_key=True), models.UUIDField(primary_key=True)
ODD = ["\x00", "\n", "é", "ÿ", "☃", "𝒳", "\u2028", " ", "\t", "$", ":", "=", "_", "-", ".", '"', "\\", "\ufeff", "٣", "\x1f", "\x7f"]


def auth_hash(key, password=PASSWORD_COLUMN):
    return salted_hmac(AUTH_HASH_SALT, password, secret=key, algorithm="sha256").hexdigest()


def mutate(rng, text):
    """One to three small damages to a text (str or bytes)."""
    units = list(text)
    odd = ODD if isinstance(text, str) else list(b'\x00\xff\xe9"\\{}[]:, 0.eE-uNI\n')
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(units) + 1)
        action = rng.randrange(6)
        if action == 0:
            units[at:at] = [rng.choice(odd)]
        elif action == 1:
            del units[at : at + rng.randint(1, 4)]
        elif action == 2 and at < len(units):
            units[at] = rng.choice(units)
        elif action == 3:
            del units[at:]
        elif action == 4:
            units[at:at] = units[max(0, at - 3) : at]
        elif at < len(units):
            units[at] = rng.choice(odd)
    return "".join(units) if isinstance(text, str) else bytes(units)


# Sessions

# As str(pk) writes them, and what Django never writes.
USER_IDS = [
    "1", "0", "-1", "7", str(2**63 - 1), str(-(2**63)), str(2**64 - 1), str(2**64), "6f1c2b9e-8f1a-4b7e-9c8d-0123456789ab", "00000000-0000-0000-0000-000000000001",
    1, 1.9, True, None, "", "abc", [1], {"a": 1}, "1.0", " 1", "+1", "0001", "1_0", "\u0663", "\ud800", "1\x00", "9" * 4300,
    "6F1C2B9E8F1A4B7E9C8D0123456789AB", "{6f1c2b9e-8f1a-4b7e-9c8d-0123456789ab}", "urn:uuid:6f1c2b9e-8f1a-4b7e-9c8d-0123456789ab", "6f1c2b9e-8f1a-4b7e-9c8d-0123456789ag",
]  # fmt: skip


def random_json(rng, depth=0):
    kind = rng.randrange(12 if depth < 4 else 9)
    if kind == 0:
        return rng.choice(["true", "false", "null"])
    if kind in (1, 2):
        return rng.choice([str(rng.randint(-(10**rng.randint(1, 25)), 10**20)), "0", "01", "1" * 300, "-" + "7" * 300])
    if kind in (3, 4):
        return rng.choice(
            [repr(rng.uniform(-1e6, 1e6)), repr(rng.random() * 10 ** rng.randint(-320, 308)), "1e5", "1E+2", "-0.0", "1.", ".5", "1e", "1e16", "1e15", "1.5e-5", "0.0001",
             "123456789012345678.0", "5e-324", "2.5e22", "100.000"]
        )  # fmt: skip
    if kind < 9:
        pieces = ["a", "Z", " ", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\/", "\\x", "\\u12", "\\u12g4", "\\\"", "\\\\", "é", "ÿ", "\x7f", "\\u2028", "\\b\\f\\r\\t", "\\u001f", "\t"]  # fmt: skip
        weights = [6 if "\\x" not in p and "\\u12" not in p and p != "\t" else 0.15 for p in pieces]
        return '"' + "".join(rng.choices(pieces, weights, k=rng.randint(0, 8))) + '"'
    blank = lambda: rng.choice(["", "", "", " ", "\n\t", "\r"])  # noqa: E731
    if kind == 9:
        return "[" + ",".join(blank() + random_json(rng, depth + 1) + blank() for _ in range(rng.randint(0, 4))) + blank() + "]"
    names = ['"a"', '"b"', '"\\u0061"', '"_auth_user_id"', '""', '"é"']
    members = [blank() + rng.choice(names) + blank() + ":" + blank() + random_json(rng, depth + 1) for _ in range(rng.randint(0, 5))]
    return "{" + ",".join(members) + blank() + "}"


def session_json(rng):
    """The bytes below the signature."""
    kind = rng.randrange(10)
    if kind < 5:
        hashes = [auth_hash(KEY)] * 4 + [auth_hash(k) for k in FALLBACKS] + [auth_hash(FOREIGN), auth_hash(KEY, "x"), auth_hash(KEY).upper(), "", None, 5, [1], {}, True, "é", "\ud800", auth_hash(KEY) + "\n"]  # fmt: skip
        members = {"_auth_user_id": rng.choice(USER_IDS), "_auth_user_backend": "django.contrib.auth.backends.ModelBackend", "_auth_user_hash": rng.choice(hashes)}
        for name in list(members):
            if rng.random() < 0.05:
                del members[name]
        if rng.random() < 0.3:
            members["théme"] = rng.choice(["x" * rng.randint(0, 200), [1, 2.50, None], {"n": {"m": []}}])
        text = json.dumps(members, separators=rng.choice([(",", ":"), (", ", ": ")]), ensure_ascii=rng.random() < 0.9)
        return text.encode("utf-8", "surrogatepass")
    if kind < 8:
        return random_json(rng, rng.choice([0, 0, 3])).encode("latin-1", "replace")
    if kind == 8:
        depth = rng.choice([1, 30, 60])
        return rng.choice([b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth])
    return rng.choice([b"", b"{}", b"[]", b"null", b"1", b'"x"', b"\xef\xbb\xbf{}", b"{} x", b"{}\n", b'{"a":"\n"}', b"\x00", b'{"a":1,}', b"[1,]", b"{'a':1}", b'{"a" 1}', b'{"a":1 "b":2}', b'{"a":', b"{", b'{"a', b"tru", b"-", b"-Inf", b"[1 2]", b'"\\u123', b'"\\'])  # fmt: skip


def session_data(rng):
    data = session_json(rng)
    if rng.random() < 0.1:
        data = mutate(rng, data)
    compressed = rng.random() < 0.4
    if compressed:
        data = zlib.compress(data, rng.choice([0, 1, 6, 9]))
        change = rng.randrange(20)
        if change == 0:
            data = mutate(rng, data)
        elif change == 1:
            data += b"trailing"
        elif change == 2:
            data = data[2:-4]
        elif change == 3:
            data = data[: rng.randrange(len(data) + 1)]
    payload = base64.urlsafe_b64encode(data).decode()
    payload = rng.choice([payload.rstrip("=")] * 15 + [payload, payload + "==", base64.b64encode(data).decode(), payload + "junk", payload[:2] + " \né" + payload[2:], payload[:-1]])
    payload = "." * (compressed if rng.random() < 0.98 else not compressed) + payload
    if rng.random() < 0.03:
        payload = mutate(rng, payload)
    stamp = rng.choice(["1r31eq"] * 60 + ["0", "-1", "-", "zzzzzzzzzzzzzzzz", "", "1_", "--1", "1é", " 1", "+1"])
    value = payload + (":" if rng.random() < 0.98 else "") + stamp
    key = rng.choice([KEY] * 20 + FALLBACKS * 8 + [FOREIGN])
    algorithm = "sha256" if rng.random() < 0.97 else "sha1"
    signature = signing.base64_hmac(rng.choice([SALT] * 20 + ["django.core.signing"]) + "signer", value, key, algorithm)
    text = value + ":" + rng.choice([signature] * 60 + [signature + "=", signature + "\n", signature[:-1], "", signature.swapcase()])
    if rng.random() < 0.05:
        text = mutate(rng, text)
    if rng.random() < 0.02:
        text = base64.b64encode(b"0123abcd:" + data).decode()
    if rng.random() < 0.02:
        text = "".join(rng.choices(ODD + list("abc"), k=rng.randint(0, 60)))
    return text


def key_text(field, value):
    """The key that Django reads, if the value is the text that it writes for this key."""
    try:
        key = field.to_python(value)
    except Exception:  # Django's HTML 500
        return None
    if isinstance(key, int) and not -(2**63) <= key < 2**64:
        return None
    return str(key) if value == str(key) else None


def session_verdict(text):
    try:
        session = signing.loads(text, salt=SALT)
    except Exception:  # SessionBase.decode takes every exception for an empty session
        return "none"
    if not isinstance(session, dict):  # Django's HTML 500
        return "none"
    given = session.get("_auth_user_hash")
    auth = "Wrong"
    try:
        if given and constant_time_compare(given, auth_hash(KEY)):
            auth = "Current"
        elif given and any(constant_time_compare(given, auth_hash(key)) for key in FALLBACKS):
            auth = "Fallback"
    except Exception:  # a lone surrogate: Django's HTML 500
        pass
    return {
        "json": json.dumps(session),
        "integer": key_text(INTEGER, session.get("_auth_user_id")),
        "uuid": key_text(UUID, session.get("_auth_user_id")),
        "auth": auth,
    }


# Passwords

PASSWORDS = ["p", "pÿ", "", "secret", "x" * 64, "x" * 65, "x" * 71, "x" * 72, "x" * 73, "☃" * 30, "a\x00b", "p\x00", "p\n", " p", "\U0001f600", "y" * 5000]


def valid_hash(rng, password):
    salt = rng.choice(["salt", "säl☃", "a" * 22, "x", "with space", "ab\ncd", "12345678"])
    kind = rng.randrange(6)
    if kind == 0:
        return hashers.PBKDF2PasswordHasher().encode(password, salt, rng.choice([1, 2, 3, 4, 50]))
    if kind == 1:
        return hashers.PBKDF2SHA1PasswordHasher().encode(password, salt, rng.choice([1, 3, 50]))
    if kind == 2:
        variety = rng.choice([argon2.Type.I, argon2.Type.D, argon2.Type.ID])
        lanes = rng.choice([1, 1, 2, 3])
        text = argon2.low_level.hash_secret(
            password.encode(), rng.choice([b"12345678", "sältsalt".encode(), bytes(16), b"\xff" * 23]), time_cost=rng.choice([1, 1, 2]), memory_cost=8 * lanes + rng.randrange(5),
            parallelism=lanes, hash_len=rng.choice([4, 16, 32, 64, 100]), type=variety, version=rng.choice([19, 19, 19, 16]),
        ).decode()  # fmt: skip
        return "argon2" + (text.replace("$v=16", "") if rng.random() < 0.5 else text)
    if kind in (3, 4):
        prefix = rng.choice([b"2a", b"2b"])
        if rng.random() < 0.1:
            prefix = rng.choice([b"2x", b"2y"])
        bcrypt_salt = bcrypt.gensalt(4).replace(b"2b", prefix)
        bcrypt_salt = bcrypt_salt[:7] + bcrypt_base64(rng.randbytes(16))
        hasher = hashers.BCryptSHA256PasswordHasher() if kind == 3 else hashers.BCryptPasswordHasher()
        return hasher.encode(password if kind == 3 else password.encode()[:72].decode(errors="ignore"), bcrypt_salt)
    n, r, p = rng.choice([(2, 1, 1), (2, 8, 1), (16, 1, 5), (64, 8, 5), (16, 8, 1), (4, 3, 2), (1024, 1, 1)])
    return hashers.ScryptPasswordHasher().encode(password, salt, n, r, p)


def bcrypt_base64(data):
    standard = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return base64.b64encode(data).rstrip(b"=").translate(bytes.maketrans(standard, b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))


ODD_HASHES = [
    "", "!", "!x", "plain", "a" * 32, "md5$$" + "a" * 32, "md5$salt$" + "a" * 32, "sha1$$" + "a" * 40, "crypt$$x", "PBKDF2_SHA256$1$salt$x", " pbkdf2_sha256$1$salt$x", "pbkdf2_sha256", "pbkdf2_sha256$",
    "pbkdf2_sha256$1000$salt", "pbkdf2_sha256$$salt$x", "pbkdf2_sha256$x$salt$x", "pbkdf2_sha256$0$salt$x", "pbkdf2_sha256$-1$salt$x", "pbkdf2_sha256$99999999999$salt$x", "pbkdf2_sha256$1$$x", "pbkdf2_sha256$1$salt$",
    "pbkdf2_sha1$0$salt$x", "argon2", "argon2$x", "argon2$argon2id", "argon2$argon2id$v=19$m=1", "argon2$argon2id$v=19$m=8,t=1,p=1$MTIzNDU2Nzg$", "argon2$argon2id$v=19$m=7,t=1,p=1$MTIzNDU2Nzg$AAAAAAA",
    "argon2$argon2id$v=19$m=8,t=0,p=1$MTIzNDU2Nzg$AAAAAAA", "argon2$argon2id$v=19$m=8,t=1,p=0$MTIzNDU2Nzg$AAAAAAA", "argon2$argon2id$v=19$m=8,t=1,p=1$MTIzNDU2Nw$AAAAAAA", "argon2$argon2x$v=19$m=8,t=1,p=1$MTIzNDU2Nzg$AAAAAAA",
    "argon2$argon2id$v=99$m=8,t=1,p=1$MTIzNDU2Nzg$AAAAAAA", "bcrypt", "bcrypt$$2b$12$short", "bcrypt$", "bcrypt_sha256$$2b$04$", "bcrypt$$2b$03$" + "." * 53, "bcrypt$$2c$04$" + "." * 53, "bcrypt$$2b$4$" + "." * 53,
    "scrypt", "scrypt$16384$salt$8$5", "scrypt$15$salt$8$1$x", "scrypt$0$salt$8$1$x", "scrypt$1$salt$8$1$x", "scrypt$2$salt$0$1$x", "scrypt$2$salt$1$0$x", "scrypt$65536$salt$1$1$x", "scrypt$32768$salt$8$1$x", "scrypt$2$$8$1$x",
    "scrypt$-2$salt$8$1$x", "scrypt$2$salt$-8$1$x", "scrypt$2$salt$8$1$x$y", "$", "$$$", "\x00", "pbkdf2_sha256$1$salt$x\x00",
]  # fmt: skip


def respell(rng, encoded):
    """The same hash, spelt otherwise."""
    parts = encoded.split("$")
    at = rng.randrange(len(parts))
    part = parts[at]
    parts[at] = rng.choice(["0" + part, "+" + part, part + "$", part + "\n", " " + part, part + " ", part + "=", part.rstrip("="), part + "\x00", part + "\x00x", part.upper(), "", part[:-1], "1_" + part, "٣" + part, part.replace("=", "=0", 1), part.replace(",", ",,", 1)])
    return "$".join(parts)


def password_input(rng):
    password = rng.choice(PASSWORDS)
    kind = rng.randrange(20)
    if kind == 0:
        return password, rng.choice(ODD_HASHES)
    if kind == 1:
        return password, "".join(rng.choices(ODD + ["pbkdf2_sha256", "argon2", "scrypt", "bcrypt", "1", "salt"], k=rng.randint(0, 8)))
    encoded = valid_hash(rng, password)
    if kind < 6:
        encoded = respell(rng, encoded)
    elif kind < 9:
        encoded = mutate(rng, encoded)
    elif kind < 12:
        password = rng.choice(PASSWORDS)
    elif kind == 12:
        password = mutate(rng, password)
    return password, encoded


def too_slow(encoded):
    """Damage can make a cheap hash an expensive one; those are left out."""
    parts = encoded.split("$")
    try:
        if parts[0].startswith("pbkdf2"):
            return int(parts[1]) > 5000
        if parts[0].startswith("bcrypt"):
            return int(parts[3]) > 5
        if parts[0] == "scrypt":
            return int(parts[1]) * int(parts[3]) * int(parts[4]) > 2**16
        if parts[0] == "argon2":
            numbers = [int(n.partition("=")[2].rstrip("\x00")) for n in encoded.partition("m=")[2].partition("$")[0].split(",")]
            return any(n > 500 for n in numbers) or "m=" + "m=" in encoded
    except (ValueError, IndexError):
        return False
    return False


def password_verdict(password, encoded):
    try:
        return "correct" if hashers.check_password(password, encoded) else "wrong"
    except Exception as error:
        return "raises " + type(error).__name__


def main(output, count=10_000, seed=1):
    rng = random.Random(int(seed))
    count = int(count)
    with open(output, "w") as lines:
        versions = {"django": django.get_version(), "python": sys.version.split()[0], "bcrypt": bcrypt.__version__}
        print(json.dumps({"kind": "settings", "key": KEY, "fallbacks": FALLBACKS, "password_column": PASSWORD_COLUMN, "iterations": ITERATIONS, **versions}), file=lines)
        for _ in range(count):
            text = session_data(rng)
            print(json.dumps({"kind": "session", "input": text, "verdict": session_verdict(text)}), file=lines)
        for _ in range(count):
            password, encoded = password_input(rng)
            while too_slow(encoded):
                password, encoded = password_input(rng)
            print(json.dumps({"kind": "password", "input": encoded, "password": password, "verdict": password_verdict(password, encoded)}), file=lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
