"""HTTP Basic byte by byte: scheme, blanks, base64, encodings, user names and passwords."""

import base64

from differential.cases import Cases
from differential.differences import NUL_IN_NAME
from support.passwords import PASSWORD, basic, pbkdf2
from support.wire import STATS, get

cases = Cases()


def b64(raw):
    return base64.b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode()


CLERK = b64(f"clerk:{PASSWORD}")

for name, value in {
    "lower_case": f"basic {CLERK}",
    "upper_case": f"BASIC {CLERK}",
    "mixed_case": f"bAsIc {CLERK}",
}.items():
    cases.add(f"the_scheme_may_be_{name}", 200, get(auth=value))
for name, value in {
    "two_spaces": f"Basic  {CLERK}",
    "a_tab": f"Basic\t{CLERK}",
    "many_blanks": f"Basic \t \t {CLERK}",
}.items():
    cases.add(f"scheme_and_credentials_may_stand_{name}_apart", 200, get(auth=value))
cases.add("blanks_around_the_header_do_not_matter", 200, get(auth=f"  Basic {CLERK}  "))

for name, value in {
    "bearer": "Bearer abc",
    "token": "Token abc",
    "digest": 'Digest username="admin"',
    "negotiate": "Negotiate abc",
    "a_colon_after_the_scheme": f"Basic: {CLERK}",
    "no_blank_after_the_scheme": f"Basic{CLERK}",
    "a_no_break_space_after_the_scheme": b"Basic\xa0" + CLERK.encode(),
    "an_empty_value": "",
    "blanks_alone": "   ",
    "the_credentials_alone": CLERK,
    "a_quoted_scheme": f'"Basic" {CLERK}',
    "another_word_first": f"X Basic {CLERK}",
}.items():
    cases.add(f"an_authorization_of_{name}_is_no_credentials", 403, get(auth=value))

for name, value in {
    "the_scheme_alone": "Basic",
    "the_scheme_and_a_blank": "Basic ",
    "three_words": f"Basic {CLERK} x",
    "four_words": "Basic a b c",
    "a_single_letter": "Basic A",
    "missing_padding": f"Basic {b64('clerk:secret-1').rstrip('=')}",
    "one_padding_character_of_two": "Basic QQ=",
    "five_letters": "Basic QUJDR",
    "a_wrong_password": basic("clerk", "wrong"),
    "an_unknown_user": basic("nobody"),
    "an_empty_user_name": basic(""),
    "an_empty_password": basic("clerk", ""),
    "nothing_but_a_colon": basic("", ""),
    "the_user_name_in_upper_case": basic("CLERK"),
    "a_blank_before_the_user_name": basic(" clerk"),
    "a_blank_after_the_password": basic("clerk", PASSWORD + " "),
    "a_newline_after_the_password": basic("clerk", PASSWORD + "\n"),
    "a_byte_order_mark": basic(b"\xef\xbb\xbfclerk"),
    "the_e-mail_address": basic("clerk@example.com"),
    "the_id": basic("2"),
    "a_password_near_the_header_limit": basic("clerk", "x" * 6000),
    "full_width_letters": basic("ｃｌｅｒｋ"),
    "a_quote_in_the_user_name": basic("clerk' OR '1'='1"),
    "a_backslash_in_the_user_name": basic("clerk\\"),
    "a_percent_in_the_user_name": basic("cler%"),
}.items():
    if name == "the_user_name_in_upper_case":
        # MariaDB's usual collations compare without case.
        cases.add(f"basic_with_{name}_is_what_the_database_makes_of_it", {"*": 403, "mysql": 200}, get(auth=value))
    else:
        cases.add(f"basic_with_{name}_is_refused", 403, get(auth=value))

cases.add("basic_without_a_colon_is_not_decoded", 403, get(auth=f"Basic {b64('clerk')}"), older_text=("4.0",))
cases.add("basic_of_one_bad_character_is_not_decoded", 403, get(auth="Basic !"), older_text=("4.0",))
cases.add("basic_of_padding_alone_is_not_decoded", 403, get(auth="Basic ="), older_text=("4.0",))
cases.add("basic_of_the_empty_text_is_not_decoded", 403, get(auth="Basic ===="), older_text=("4.0",))
cases.add(
    "two_authorization_headers_are_joined", 403,
    get(STATS, ("Authorization", f"Basic {CLERK}"), ("Authorization", f"Basic {CLERK}")),
)
cases.add(
    "a_second_authorization_header_that_is_empty_adds_only_a_comma", 200,
    get(STATS, ("Authorization", f"Basic {CLERK}"), ("Authorization", "")),
)

# base64 as Python's non-strict decoder reads it.
for name, text in {
    "characters_outside_the_alphabet_inside": CLERK[:4] + "!-_." + CLERK[4:],
    "a_byte_above_ascii_inside": CLERK[:8].encode() + b"\xe9" + CLERK[8:].encode(),
    "more_padding_than_needed": CLERK.rstrip("=") + "====",
    "quotes_around_it": f'"{CLERK}"',
    "a_colon_in_it": CLERK[:3] + ":" + CLERK[3:],
}.items():
    value = b"Basic " + text if isinstance(text, bytes) else f"Basic {text}"
    cases.add(f"base64_with_{name}_is_decoded", 200, get(auth=value))


@cases(200)
def whatever_follows_the_padding_is_ignored(w):
    user = w.user(password="ab")
    text = b64(f"{user.username}:ab")
    assert text.endswith("=")
    return get(auth=f"Basic {text}QUJDRA")


@cases(200)
def a_utf_8_user_name_and_password_are_accepted(w):
    w.user("jürgen-漢字", "pässwörd-🦀")
    return get(auth=basic("jürgen-漢字", "pässwörd-🦀"))


@cases(200)
def bytes_that_are_not_utf_8_are_latin_1(w):
    w.user("j\u00fcrgen", "p\u00ff")
    return get(auth=basic("jürgen".encode("latin-1"), "pÿ".encode("latin-1")))


@cases(403)
def utf_8_and_latin_1_are_not_mixed(w):
    w.user("jürgen", "pÿ")
    return get(auth=basic("jürgen".encode(), "pÿ".encode("latin-1")))


@cases(200)
def everything_after_the_first_colon_is_the_password(w):
    user = w.user(password="a:b::c:")
    return get(auth=basic(user.username, "a:b::c:"))


@cases(200)
def an_empty_password_is_a_password(w):
    user = w.user(password="")
    return get(auth=basic(user.username, ""))


@cases({"*": 403, "mysql": 200})
def a_decomposed_user_name_is_not_normalised(w):
    w.user("caf\u00e9")
    return get(auth=basic("cafe\u0301")) if w.database != "mysql" else get(auth=basic("cafe"))


@cases({"*": 403, "mysql": 200})
def blanks_after_the_user_name_are_the_databases_matter(w):
    user = w.user()
    return get(auth=basic(user.username + "  "))


@cases({"*": 403, "mysql": 200})
def accents_in_the_user_name_are_the_databases_matter(w):
    w.user("accented")
    return get(auth=basic("àccénted"))


cases.add("a_nul_in_the_user_name_is_no_user", 403, get(auth=basic("cle\0rk")), databases=("sqlite", "mysql"))
cases.add("a_nul_in_the_user_name_is_no_outage", 500, get(auth=basic("cle\0rk")), NUL_IN_NAME, databases=("postgres",))


@cases(200)
def a_nul_at_the_end_of_a_pbkdf2_password_is_accepted(w):
    user = w.user(password="secret")
    return get(auth=basic(user.username, "secret\0"))


@cases(403)
def a_nul_in_the_middle_of_a_password_counts(w):
    user = w.user(password="secret")
    return get(auth=basic(user.username, "sec\0ret"))


@cases(200)
def a_password_longer_than_4096_bytes_works(w):
    user = w.user(password="x" * 5000)
    return get(auth=basic(user.username, "x" * 5000))


@cases(403)
def inactive_and_not_staff_is_about_the_password(w):
    user = w.user(is_active=False, is_staff=False)
    return get(auth=basic(user.username))


@cases(403)
def a_correct_password_of_a_user_who_is_not_staff_is_about_permission(w):
    user = w.user(is_staff=False)
    return get(auth=basic(user.username))


@cases(200)
def a_user_name_of_control_characters_works(w):
    w.user("a\x01b\x7f")
    return get(auth=basic("a\x01b\x7f"))


@cases(200)
def a_user_name_of_150_letters_works(w):
    w.user("n" * 150)
    return get(auth=basic("n" * 150))


@cases(403)
def a_user_name_longer_than_the_column_is_unknown(w):
    return get(auth=basic("n" * 1000))


@cases(403)
def a_password_that_is_hashed_twice_is_not_verified(w):
    w.user("double", encoded=pbkdf2(pbkdf2()))
    return get(auth=basic("double"))


test_answers = cases.test()
