"""Session rows: every kind of row in django_session, and whether it authenticates."""

import base64
import zlib

from differential.cases import Cases, Variant
from differential.differences import BROKEN_SESSION, DEAD_ROW_STAYS, NO_ROTATION, NOT_AS_DJANGO_WRITES
from support import django_sessions
from support.passwords import pbkdf2
from support.wire import EXPORT, STATS, get

cases = Cases()
FALLBACKS = Variant("fallback-keys", settings={"SECRET_KEY_FALLBACKS": ["older-key", "oldest-key"]})
NEW = ("4.2", "5.2", "6.1")


def row(name, status, differs=None, **how):
    """A case whose session of the clerk's differs from a good one in `how`."""
    extra = {"differs": differs} if differs else {}
    cases.add(name, status, lambda w: get(cookie=w.cookie(w.clerk, **how)), **extra)


row("a_good_session_admits", 200)
row("a_good_session_that_expires_in_a_second_or_two_admits", 200, expires_in=5)
row("a_session_that_expires_in_a_century_admits", 200, expires_in=100 * 365 * 86400)
row("an_expired_session_is_anonymous_and_its_cookie_deleted", 403, expires_in=-1)
row("a_session_expired_long_ago_is_anonymous", 403, expires_in=-86400 * 365)
row("a_compressed_session_admits", 200, data={"x": "y" * 500})
row("a_session_compressed_although_longer_admits", 200, compress=True)
row("a_long_session_that_is_not_compressed_admits", 200, data={"x": "y" * 500}, compress=False)
row("a_session_with_other_data_admits", 200, data={"cart": [1, 2, {"a": None}], "_session_expiry": 300})
row("a_session_signed_with_another_key_is_anonymous_and_its_cookie_kept", 403, key="another-key", hash_key="another-key")
row("a_session_of_another_salt_is_anonymous", 403, salt="django.contrib.sessions.backends.signed_cookies")
row("a_session_of_an_older_salt_is_anonymous", 403, salt="django.contrib.sessions.SessionBase")
row("a_session_signed_with_sha1_is_anonymous", 403, digest="sha1")
row("a_session_signed_with_sha512_is_anonymous", 403, digest="sha512")
for name, timestamp in {
    "zero": 0, "in_the_far_future": 99_999_999_999, "negative": "-1r31eq", "a_hyphen_alone": "-", "very_long": "z" * 30,
}.items():
    row(f"a_signing_time_that_is_{name}_is_never_checked", 200, timestamp=timestamp)
for name, timestamp in {"empty": "", "not_base62": "1r31e_", "with_a_blank": " 1r31eq", "with_a_plus": "+1r31eq"}.items():
    row(f"a_signing_time_that_is_{name}_is_undecodable", 403, timestamp=timestamp)


def damaged(name, damage, status=403, differs=None):
    """A case whose session_data is a good one after `damage`."""
    extra = {"differs": differs} if differs else {}

    def build(w):
        good = django_sessions.session_data(django_sessions.login_data(w.clerk.id, w.clerk.password_column))
        return get(cookie=w.cookie(session_data=damage(good)))

    cases.add(name, status, build, **extra)


damaged("a_good_column_put_in_as_text_admits", lambda good: good, 200)
damaged("a_column_with_a_changed_letter_is_anonymous", lambda good: "f" + good[1:] if good[0] != "f" else "g" + good[1:])
damaged("a_truncated_column_is_anonymous", lambda good: good[:-1])
damaged("a_column_of_half_its_length_is_anonymous", lambda good: good[: len(good) // 2])
damaged("an_empty_column_is_anonymous", lambda good: "")
damaged("a_column_of_colons_is_anonymous", lambda good: ":::")
damaged("a_column_without_a_signature_is_anonymous", lambda good: good.rsplit(":", 1)[0])
damaged("a_column_without_a_time_is_anonymous", lambda good: good.split(":")[0] + ":" + good.split(":")[2])
damaged("a_padded_signature_is_anonymous", lambda good: good + "=")
damaged("a_newline_after_the_signature_is_anonymous", lambda good: good + "\n")
damaged("a_blank_before_the_payload_is_anonymous", lambda good: " " + good)
damaged("a_signature_in_upper_case_is_anonymous", lambda good: good[:-43] + good[-43:].upper())
damaged("a_signature_that_is_not_ascii_is_anonymous", lambda good: good[:-1] + "é")
damaged("a_changed_time_is_anonymous", lambda good: ":".join([good.split(":")[0], "1r31eq", good.split(":")[2]]))
damaged("a_column_of_text_is_anonymous", lambda good: "hello")
damaged("a_column_of_json_is_anonymous", lambda good: '{"_auth_user_id":"1"}')
damaged(
    "the_format_before_django_3_1_is_anonymous",
    lambda good: base64.b64encode(b"0123456789abcdef0123456789abcdef01234567:{}").decode(),
)
# The payload is decoded non-strictly, and only after its signature has been checked.
damaged("a_padded_payload_admits", lambda good: django_sessions.sign(good.split(":")[0] + "==="), 200)
damaged("foreign_characters_in_the_payload_are_skipped", lambda good: django_sessions.sign(good.split(":")[0][:4] + "!!*" + good.split(":")[0][4:]), 200)


def payload_of(name, make, status=403, differs=None):
    """A case whose signed payload is the text that `make` makes of the clerk's login data as JSON bytes."""
    extra = {"differs": differs} if differs else {}

    def build(w):
        data = django_sessions.payload(django_sessions.login_data(w.clerk.id, w.clerk.password_column), compress=False)
        json = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
        return get(cookie=w.cookie(session_data=django_sessions.sign(make(json))))

    cases.add(name, status, build, **extra)


payload_of("four_colons_before_the_payload_are_skipped", lambda json: "::::" + django_sessions.base64url(json), 200)
payload_of("one_colon_before_the_payload_spoils_its_padding", lambda json: ":" + django_sessions.base64url(json + b" " * (2 - len(json) % 3)))


def deflated(json):
    maker = zlib.compressobj(wbits=-15)
    return maker.compress(json) + maker.flush()


def gzipped(json):
    maker = zlib.compressobj(wbits=31)
    return maker.compress(json) + maker.flush()


payload_of("a_payload_of_zlib_admits", lambda json: "." + django_sessions.base64url(zlib.compress(json)), 200)
payload_of("a_payload_of_zlib_at_level_0_admits", lambda json: "." + django_sessions.base64url(zlib.compress(json, 0)), 200)
payload_of("bytes_after_the_zlib_stream_are_ignored", lambda json: "." + django_sessions.base64url(zlib.compress(json) + b"junk"), 200)
payload_of("a_payload_of_raw_deflate_is_anonymous", lambda json: "." + django_sessions.base64url(deflated(json)))
payload_of("a_payload_of_gzip_is_anonymous", lambda json: "." + django_sessions.base64url(gzipped(json)))
payload_of("a_truncated_zlib_stream_is_anonymous", lambda json: "." + django_sessions.base64url(zlib.compress(json)[:-6]))
payload_of("a_damaged_zlib_checksum_is_anonymous", lambda json: "." + django_sessions.base64url(zlib.compress(json)[:-1] + b"\0"))
payload_of("an_empty_compressed_payload_is_anonymous", lambda json: ".")
payload_of("an_empty_payload_is_anonymous", lambda json: "")
payload_of("a_payload_of_one_letter_is_anonymous", lambda json: "A")
payload_of("two_dots_are_anonymous", lambda json: ".." + django_sessions.base64url(zlib.compress(json)))
payload_of("a_payload_in_the_standard_alphabet_admits", lambda json: base64.b64encode(json + b' ' * (-len(json) % 3)).decode(), 200)
payload_of("a_payload_with_a_byte_order_mark_is_anonymous", lambda json: django_sessions.base64url(b"\xef\xbb\xbf" + json))
payload_of("a_payload_with_text_after_the_object_is_anonymous", lambda json: django_sessions.base64url(json + b"x"))
payload_of("a_payload_with_blanks_around_the_object_admits", lambda json: django_sessions.base64url(b" \n\t\r" + json + b"\n "), 200)
payload_of("a_payload_with_a_form_feed_before_the_object_is_anonymous", lambda json: django_sessions.base64url(b"\x0c" + json))
payload_of("a_payload_of_two_objects_is_anonymous", lambda json: django_sessions.base64url(json + json))
payload_of("a_payload_with_a_raw_control_character_is_anonymous", lambda json: django_sessions.base64url(json[:-1] + b',"a":"\x01"}'))
payload_of("a_payload_with_a_raw_latin_1_byte_admits", lambda json: django_sessions.base64url(json[:-1] + b',"a":"\xe9"}'), 200)
payload_of("a_payload_with_a_lone_surrogate_admits", lambda json: django_sessions.base64url(json[:-1] + b',"a":"\\ud800"}'), 200)
payload_of("a_payload_with_nan_is_no_session", lambda json: django_sessions.base64url(json[:-1] + b',"a":NaN,"b":Infinity,"c":-Infinity}'), 200, NOT_AS_DJANGO_WRITES)
payload_of("a_payload_with_a_huge_integer_admits", lambda json: django_sessions.base64url(json[:-1] + b',"a":' + b"9" * 4000 + b"}"), 200)
payload_of("a_payload_with_a_huge_exponent_admits", lambda json: django_sessions.base64url(json[:-1] + b',"a":1e999999}'), 200)
payload_of("a_payload_with_a_leading_zero_is_anonymous", lambda json: django_sessions.base64url(json[:-1] + b',"a":01}'))
payload_of("a_payload_with_a_trailing_comma_is_anonymous", lambda json: django_sessions.base64url(json[:-1] + b",}"))
payload_of("a_payload_with_single_quotes_is_anonymous", lambda json: django_sessions.base64url(json.replace(b'"', b"'")))
payload_of("a_payload_with_a_bad_escape_is_anonymous", lambda json: django_sessions.base64url(json[:-1] + b',"a":"\\x41"}'))
payload_of("a_payload_nested_500_deep_admits", lambda json: django_sessions.base64url(json[:-1] + b',"a":' + b"[" * 500 + b"]" * 500 + b"}"), 200)
payload_of("a_duplicate_key_counts_by_its_last_value", lambda json: django_sessions.base64url(b'{"_auth_user_id":"999999",' + json[1:]), 200)
payload_of("a_duplicate_key_counts_by_its_last_value_also_when_that_is_wrong", lambda json: django_sessions.base64url(json[:-1] + b',"_auth_user_id":"999999"}'))
payload_of("a_key_spelled_with_escapes_is_the_key", lambda json: django_sessions.base64url(json.replace(b"_auth_user_id", b"\\u005fauth_user_id")), 200)
payload_of("an_empty_object_is_anonymous", lambda json: django_sessions.base64url(b"{}"))
for name, text in {"a_list": b"[]", "a_string": b'"x"', "a_number": b"1", "null": b"null", "true": b"true", "a_list_of_pairs": b'[["_auth_user_id","2"]]'}.items():
    payload_of(f"a_payload_that_is_{name}_is_no_session", lambda json, text=text: django_sessions.base64url(text), 500, BROKEN_SESSION)


# The auth hash.
for name, value in {"missing": ..., "empty": "", "null": None, "a_number": 1, "wrong": "0" * 64, "a_list": [], "false": False, "an_object": {"a": 1}}.items():
    row(f"an_auth_hash_that_is_{name}_is_anonymous", 403, DEAD_ROW_STAYS, data={"_auth_user_hash": value})


@cases(403, DEAD_ROW_STAYS)
def an_auth_hash_in_upper_case_is_anonymous(w):
    return get(cookie=w.cookie(w.clerk, data={"_auth_user_hash": django_sessions.auth_hash(w.clerk.password_column).upper()}))


@cases(403, DEAD_ROW_STAYS)
def an_auth_hash_of_sha1_is_anonymous(w):
    salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    old = django_sessions.salted_hmac(salt, w.clerk.password_column, django_sessions.SECRET_KEY, "sha1").hexdigest()
    return get(cookie=w.cookie(w.clerk, data={"_auth_user_hash": old}))


@cases(403, DEAD_ROW_STAYS)
def an_auth_hash_under_another_key_is_anonymous(w):
    return get(cookie=w.cookie(w.clerk, hash_key="another-key"))


@cases(403, DEAD_ROW_STAYS)
def a_password_changed_since_the_login_ends_the_session(w):
    user = w.user()
    cookie = w.cookie(user)
    w.execute("UPDATE auth_user SET password = ? WHERE id = ?", [pbkdf2("another"), user.id])
    return get(cookie=cookie)


@cases(403)
def a_user_deactivated_since_the_login_is_anonymous(w):
    user = w.user()
    cookie = w.cookie(user)
    w.execute("UPDATE auth_user SET is_active = ? WHERE id = ?", [False, user.id])
    return get(cookie=cookie)


@cases(403)
def a_user_demoted_since_the_login_may_not(w):
    user = w.user()
    cookie = w.cookie(user)
    w.execute("UPDATE auth_user SET is_staff = ? WHERE id = ?", [False, user.id])
    return get(EXPORT, cookie=cookie)


@cases(403)
def a_user_deleted_since_the_login_is_anonymous(w):
    user = w.user()
    cookie = w.cookie(user)
    w.execute("DELETE FROM auth_user WHERE id = ?", [user.id])
    return get(cookie=cookie)


@cases(200)
def a_session_of_a_user_without_a_usable_password_admits(w):
    return get(cookie=w.cookie(w.user(encoded="!" + "x" * 40)))


@cases(200)
def a_session_of_a_user_with_an_empty_password_column_admits(w):
    return get(cookie=w.cookie(w.user(encoded="")))


@cases(403)
def a_deleted_session_row_ends_the_session(w):
    cookie = w.cookie(w.clerk)
    w.execute("DELETE FROM django_session")
    return get(cookie=cookie)


# The backend.
for name, value in {
    "missing": ..., "null": None, "empty": "", "unknown": "accounts.backends.Other", "a_list": [django_sessions.BACKEND], "a_number": 1,
    "of_another_module": "django.contrib.auth.backends.RemoteUserBackend", "the_path_with_a_blank": django_sessions.BACKEND + " ",
    "in_upper_case": django_sessions.BACKEND.upper(), "true": True,
}.items():
    row(f"a_backend_that_is_{name}_is_anonymous", 403, data={"_auth_user_backend": value})


# Fallback keys.
@cases(200, variant=FALLBACKS, versions=NEW)
def a_session_signed_with_a_fallback_key_and_a_current_hash_admits(w):
    return get(cookie=w.cookie(w.clerk, key="older-key", hash_key=django_sessions.SECRET_KEY))


@cases(200, NO_ROTATION, variant=FALLBACKS, versions=NEW)
def a_session_made_under_a_fallback_key_is_accepted_without_a_write(w):
    return get(cookie=w.cookie(w.clerk, key="older-key"))


@cases(200, NO_ROTATION, variant=FALLBACKS, versions=NEW)
def a_session_made_under_the_last_fallback_key_is_accepted(w):
    return get(cookie=w.cookie(w.clerk, key="oldest-key"))


@cases(200, NO_ROTATION, variant=FALLBACKS, versions=NEW)
def a_hash_under_a_fallback_key_in_a_row_signed_with_the_current_one_is_accepted(w):
    return get(cookie=w.cookie(w.clerk, hash_key="older-key"))


@cases(403, variant=FALLBACKS, versions=NEW)
def a_session_under_none_of_the_keys_is_anonymous(w):
    return get(cookie=w.cookie(w.clerk, key="no-key"))


@cases(403, DEAD_ROW_STAYS, variant=FALLBACKS, versions=NEW)
def a_hash_under_none_of_the_keys_ends_the_session(w):
    return get(cookie=w.cookie(w.clerk, hash_key="no-key"))


@cases(200, variant=FALLBACKS)
def a_session_under_the_current_key_admits_beside_fallbacks(w):
    return get(STATS, cookie=w.cookie(w.clerk))


test_answers = cases.test()
