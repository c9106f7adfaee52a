"""`_auth_user_id` in all its spellings: Python's int() for integer keys, uuid.UUID() for UUID keys."""

from differential.cases import Cases, Variant
from differential.differences import BROKEN_SESSION, DEAD_ROW_STAYS
from support.django_sessions import BACKEND, auth_hash
from support.passwords import basic
from support.wire import EXPORT, get

cases = Cases()

# The clerk's id is 2. Left: the case's name; right: the JSON text in the payload.
SAME_USER = {
    "a_number": "2", "a_string": '"2"', "blanks_around": '" 2\\n"', "a_plus": '"+2"', "leading_zeros": '"0002"',
    "an_underscore": '"0_2"', "an_arabic_digit": '"\\u0662"', "a_full_width_digit": '"\\uff12"', "a_float": "2.0",
    "a_float_that_is_cut_off": "2.9", "a_float_with_an_exponent": "2e0", "an_em_space_around": '"\\u20032"',
    "a_devanagari_digit": '"\\u0968"',
}
NOBODY = {
    "null": "null", "an_unknown_number": "999999", "an_unknown_string": '"999999"', "zero": "0", "a_negative_number": "-2",
    "a_negative_string": '"-2"', "false": "false", "a_fraction_below_one": "0.9", "minus_zero": "-0",
}
BROKEN = {
    "the_empty_string": '""', "letters": '"abc"', "a_fraction_as_text": '"2.0"', "a_list": "[2]", "an_object": '{"a":2}',
    "a_nul_after_the_digit": '"2\\u0000"', "infinity": "Infinity", "minus_infinity": "-Infinity", "nan": "NaN",
    "two_underscores": '"0__2"', "an_underscore_first": '"_2"', "a_blank_inside": '"2 2"', "hexadecimal": '"0x2"',
    "two_signs": '"++2"', "a_sign_alone": '"+"', "a_superscript": '"\\u00b2"', "more_than_4300_digits": '"' + "1" * 4301 + '"',
    "a_roman_numeral": '"\\u2161"', "an_exponent_as_text": '"2e0"', "a_blank": '" "', "a_comma": '"2,0"',
}


def with_id(json_text):
    def build(w):
        hashed = auth_hash(w.clerk.password_column)
        text = f'{{"_auth_user_id":{json_text},"_auth_user_backend":"{BACKEND}","_auth_user_hash":"{hashed}"}}'
        return get(cookie=w.cookie(data=text))

    return build


for name, text in SAME_USER.items():
    cases.add(f"a_user_id_of_{name}_is_that_user", 200, with_id(text))
for name, text in NOBODY.items():
    cases.add(f"a_user_id_of_{name}_is_nobody", 403, with_id(text))
for name, text in BROKEN.items():
    cases.add(f"a_user_id_of_{name}_is_no_session", 500, with_id(text), BROKEN_SESSION)
for name, text in {"2_to_the_63": str(2**63), "2_to_the_63_as_text": f'"{2**63}"', "below_64_bits": str(-(2**63) - 1), "a_hundred_digits": "9" * 100, "1e30": "1e30"}.items():
    cases.add(f"a_user_id_of_{name}_is_nobody", 403, with_id(text), older={"4.0": 500, "4.2": 500})
cases.add("a_user_id_of_the_largest_64_bit_number_is_nobody", 403, with_id(str(2**63 - 1)))


# User 1 is the admin, whose auth hash is not the clerk's: found, and refused by the hash.
cases.add("a_user_id_of_true_is_the_first_user", 403, with_id("true"), DEAD_ROW_STAYS)
cases.add("a_user_id_of_1.9_is_the_first_user", 403, with_id("1.9"), DEAD_ROW_STAYS)


@cases(200)
def a_user_with_a_negative_id_has_a_session(w):
    return get(cookie=w.cookie(w.user(id=-5)))


@cases(200)
def a_user_with_an_id_beyond_32_bits_has_a_session(w):
    return get(cookie=w.cookie(w.user(id=2**40)))


# UUID keys.
UUIDS = Variant("uuid-keys", model={"key": "uuid"})
CLERK = "00000000-0000-0000-0000-000000000002"
for name, text in {
    "hyphens": f'"{CLERK}"', "no_hyphens": f'"{CLERK.replace("-", "")}"', "braces": f'"{{{CLERK}}}"',
    "urn": f'"urn:uuid:{CLERK}"', "a_number": "2", "hyphens_in_odd_places": f'"0-{CLERK.replace("-", "")[1:]}"',
    "an_unfinished_brace": f'"{{{CLERK}"',
}.items():
    cases.add(f"a_uuid_spelled_with_{name}_is_that_user", 200, with_id(text), variant=UUIDS)
for name, text in {
    "null": "null", "an_unknown_uuid": '"ffffffff-ffff-ffff-ffff-ffffffffffff"',
    "an_unknown_uuid_in_upper_case": '"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFE"', "zero": "0",
}.items():
    cases.add(f"a_uuid_of_{name}_is_nobody", 403, with_id(text), variant=UUIDS)
for name, text in {"letters": '"abc"', "a_short_text": '"2"', "a_list": "[]", "a_float": "2.0", "the_empty_text": '""', "blanks_around": f'" {CLERK}"', "a_negative_number": "-2", "129_bits": str(2**128)}.items():
    cases.add(f"a_uuid_of_{name}_is_no_session", 500, with_id(text), BROKEN_SESSION, variant=UUIDS)


cases.add("a_uuid_of_true_is_the_first_user", 403, with_id("true"), DEAD_ROW_STAYS, variant=UUIDS)


@cases(200, variant=UUIDS)
def a_uuid_user_has_an_export(w):
    return get(EXPORT, auth=basic("clerk"))


test_answers = cases.test()
