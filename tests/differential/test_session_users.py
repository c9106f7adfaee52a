"""`_auth_user_id`: the text that Django writes, and others that its fields would take or trip over."""

from differential.cases import Cases, Variant
from differential.differences import BROKEN_SESSION, NOT_AS_DJANGO_WRITES
from support.django_sessions import BACKEND, auth_hash
from support.passwords import basic
from support.wire import EXPORT, get

cases = Cases()

# The clerk's id is 2. Left: the case's name; right: the JSON text in the payload.
NEVER_WRITTEN = {
    "a_number": "2", "a_float": "2.0", "blanks_around": '" 2\\n"', "a_plus": '"+2"', "leading_zeros": '"0002"', "an_underscore": '"0_2"',
    "an_arabic_digit": '"\\u0662"',
}
NO_USER = {"null": "null", "an_unknown_string": '"999999"', "a_negative_string": '"-2"', "false": "false"}
BROKEN = {
    "the_empty_string": '""', "letters": '"abc"', "a_fraction_as_text": '"2.0"', "a_list": "[2]", "an_object": '{"a":2}',
    "a_nul_after_the_digit": '"2\\u0000"', "more_than_4300_digits": '"' + "1" * 4301 + '"',
}


def with_id(json_text):
    def build(w):
        hashed = auth_hash(w.clerk.password_column)
        text = f'{{"_auth_user_id":{json_text},"_auth_user_backend":"{BACKEND}","_auth_user_hash":"{hashed}"}}'
        return get(cookie=w.cookie(data=text))

    return build


cases.add("a_user_id_of_a_string_is_that_user", 200, with_id('"2"'))
for name, text in NEVER_WRITTEN.items():
    cases.add(f"a_user_id_with_{name}_is_no_session", 200, with_id(text), NOT_AS_DJANGO_WRITES)
for name, text in NO_USER.items():
    cases.add(f"a_user_id_of_{name}_is_no_user", 403, with_id(text))
for name, text in BROKEN.items():
    cases.add(f"a_user_id_of_{name}_is_no_session", 500, with_id(text), BROKEN_SESSION)
cases.add("a_user_id_of_2_to_the_63_is_no_user", 403, with_id(f'"{2**63}"'), older={"4.0": 500, "4.2": 500})
cases.add("a_user_id_of_the_largest_64_bit_number_is_no_user", 403, with_id(f'"{2**63 - 1}"'))


@cases(200)
def a_user_with_a_negative_id_has_a_session(w):
    return get(cookie=w.cookie(w.user(id=-5)))


@cases(200)
def a_user_with_an_id_beyond_32_bits_has_a_session(w):
    return get(cookie=w.cookie(w.user(id=2**40)))


# UUID keys.
UUIDS = Variant("uuid-keys", model={"key": "uuid"})
CLERK = "00000000-0000-0000-0000-000000000002"
cases.add("a_uuid_is_that_user", 200, with_id(f'"{CLERK}"'), variant=UUIDS)
for name, text in {"no_hyphens": f'"{CLERK.replace("-", "")}"', "braces": f'"{{{CLERK}}}"', "urn": f'"urn:uuid:{CLERK}"', "a_number": "2"}.items():
    cases.add(f"a_uuid_spelled_with_{name}_is_no_session", 200, with_id(text), NOT_AS_DJANGO_WRITES, variant=UUIDS)
for name, text in {"null": "null", "an_unknown_uuid": '"ffffffff-ffff-ffff-ffff-ffffffffffff"'}.items():
    cases.add(f"a_uuid_of_{name}_is_no_user", 403, with_id(text), variant=UUIDS)
for name, text in {"letters": '"abc"', "a_short_text": '"2"', "a_list": "[]", "the_empty_text": '""'}.items():
    cases.add(f"a_uuid_of_{name}_is_no_session", 500, with_id(text), BROKEN_SESSION, variant=UUIDS)


@cases(200, variant=UUIDS)
def a_uuid_user_has_an_export(w):
    return get(EXPORT, auth=basic("clerk"))


test_answers = cases.test()
