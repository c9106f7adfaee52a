"""The Cookie header: how Django finds the session key in it, and when it deletes the cookie."""

from differential.cases import Cases
from differential.differences import NUL_IN_KEY
from support.wire import STATS, get

cases = Cases()
UNKNOWN = "abcdefghijklmnopqrstuvwxyz012345"


def found(name, spell, status=200, **more):
    """A case whose Cookie header is `spell` of a good session key."""
    cases.add(name, status, lambda w: get(cookie=spell(w.session(w.clerk))), **more)


found("the_session_cookie_alone_admits", lambda key: f"sessionid={key}")
found("other_cookies_before_it_do_not_matter", lambda key: f"a=b; c=d; sessionid={key}")
found("other_cookies_after_it_do_not_matter", lambda key: f"sessionid={key}; a=b; c=d")
found("no_blank_after_the_semicolon_is_needed", lambda key: f"a=b;sessionid={key};c=d")
found("blanks_around_name_and_value_are_stripped", lambda key: f"  sessionid  =  {key}  ")
found("tabs_around_name_and_value_are_stripped", lambda key: f"\tsessionid\t=\t{key}\t")
found("no_break_spaces_in_utf_8_are_stripped", lambda key: f"sessionid=\u00a0{key}\u00a0".encode())
found("an_em_space_in_utf_8_is_stripped", lambda key: f"\u2003sessionid={key}\u2003".encode())
found("a_no_break_space_in_latin_1_is_not_stripped", lambda key: b"sessionid=" + key.encode() + b"\xa0", 403)
found("a_quoted_value_is_unquoted", lambda key: f'sessionid="{key}"')
found("octal_escapes_in_quotes_are_decoded", lambda key: f'sessionid="\\{ord(key[0]):03o}{key[1:]}"')
found("a_backslash_in_quotes_is_dropped", lambda key: f'sessionid="{key[:4]}\\{key[4:]}"' if key[4] not in "01234567" else f'sessionid="\\{ord(key[0]):03o}{key[1:]}"')
found("a_value_with_a_quote_at_its_start_alone_is_kept", lambda key: f'sessionid="{key}', 403)
found("a_value_with_a_quote_at_its_end_alone_is_kept", lambda key: f'sessionid={key}"', 403)
found("single_quotes_are_not_quotes", lambda key: f"sessionid='{key}'", 403)
found("quotes_in_quotes_are_kept", lambda key: f'sessionid=""{key}""', 403)
found("a_value_is_not_percent_decoded", lambda key: f"sessionid=%{ord(key[0]):02x}{key[1:]}", 403)
found("the_last_of_two_wins_when_it_is_good", lambda key: f"sessionid={UNKNOWN}; sessionid={key}")
found("the_last_of_two_wins_when_it_is_bad", lambda key: f"sessionid={key}; sessionid={UNKNOWN}", 403)
found("the_last_of_two_wins_when_it_is_empty", lambda key: f"sessionid={key}; sessionid=", 403)
found("a_name_in_upper_case_is_another_cookie", lambda key: f"SESSIONID={key}", 403)
found("a_name_in_mixed_case_is_another_cookie", lambda key: f"sessionId={key}", 403)
found("a_quoted_name_is_another_cookie", lambda key: f'"sessionid"={key}', 403)
found("a_name_with_a_prefix_is_another_cookie", lambda key: f"xsessionid={key}", 403)
found("a_value_without_a_name_is_no_session", lambda key: key, 403)
found("an_equals_sign_in_the_value_belongs_to_it", lambda key: f"sessionid={key}=", 403)
found("two_equals_signs_make_the_second_part_of_the_value", lambda key: f"sessionid=={key}", 403)
found("a_comma_does_not_end_a_value", lambda key: f"sessionid={key}, a=b", 403)
found("a_key_in_upper_case_is_what_the_database_makes_of_it", lambda key: f"sessionid={key.upper()}x"[:-1], {"*": 403, "mysql": 200})
found("a_key_with_a_letter_more_is_unknown", lambda key: f"sessionid={key}x", 403)
found("a_key_with_a_letter_less_is_unknown", lambda key: f"sessionid={key[:-1]}", 403)
found("a_semicolon_inside_quotes_ends_the_value", lambda key: f'sessionid="{key};x"', 403)
found("a_dollar_version_is_a_cookie_like_any_other", lambda key: f"$Version=1; sessionid={key}; $Path=/")
found("bytes_that_are_not_utf_8_elsewhere_do_not_matter", lambda key: b"a=\xff\xfe; sessionid=" + key.encode())
found("json_in_another_cookie_does_not_matter", lambda key: f'prefs={{"a":"b","c":[1,2]}}; sessionid={key}')
found("an_empty_cookie_between_does_not_matter", lambda key: f"; ; =; a; sessionid={key};;")
found("forty_other_cookies_do_not_matter", lambda key: "; ".join(f"c{n}={n}" for n in range(40)) + f"; sessionid={key}")

ABSENT = {
    "an_empty_header": "", "blanks_alone": "  ", "semicolons_alone": ";;;", "another_cookie": "a=b", "an_equals_sign_alone": "=",
}
for name, value in ABSENT.items():
    cases.add(f"a_cookie_header_of_{name}_deletes_nothing", 403, get(cookie=value))
DEAD = {
    "an_unknown_key": f"sessionid={UNKNOWN}", "no_value": "sessionid=", "a_short_value": "sessionid=abc",
    "seven_letters": "sessionid=abcdefg", "eight_letters": "sessionid=abcdefgh", "empty_quotes": 'sessionid=""',
    "odd_characters": "sessionid=<>?/\\|{}[]()!@#$%^&*", "a_quote_of_one": 'sessionid="', "blanks_in_the_value": "sessionid=abc def ghi jkl",
    "utf_8": "sessionid=äöüäöüäöü".encode(), "bytes_that_are_not_utf_8": b"sessionid=\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
    "a_very_long_value": "sessionid=" + "a" * 3000, "sql": "sessionid=' OR '1'='1' -- ", "a_percent": "sessionid=%%%%%%%%%%",
}
for name, value in DEAD.items():
    cases.add(f"a_session_cookie_of_{name}_is_deleted", 403, get(cookie=value))
NUL = get(cookie='sessionid="abcdefgh\\000ijkl"')
cases.add("a_nul_in_a_quoted_key_is_no_session", 403, NUL, databases=("sqlite", "mysql"))
cases.add("a_nul_in_a_quoted_key_is_no_outage", 500, NUL, NUL_IN_KEY, databases=("postgres",))


def key_of(name, key):
    """A case whose session row has an odd key of its own."""
    cases.add(f"a_session_key_of_{name}_admits_if_the_row_is_there", 200, lambda w: get(cookie=w.cookie(w.clerk, session_key=key)))


key_of("eight_letters", "abcdefgh")
key_of("forty_letters", "x" * 40)
key_of("upper_case", "ABCDEFGHIJKLMNOP")
key_of("odd_characters", "<>?/|{}[]()!@#$%^&*")
key_of("a_hyphen_and_an_underscore", "abc-def_ghi")
key_of("a_blank_inside", "abcd efgh ijkl")
key_of("an_equals_sign", "abcd=efgh==ijkl")
cases.add("a_session_key_of_seven_letters_is_never_looked_up", 403, lambda w: get(cookie=w.cookie(w.clerk, session_key="abcdefg")))


@cases(200)
def a_session_key_beyond_ascii_admits_if_the_row_is_there(w):
    return get(cookie=f"sessionid={w.session(w.clerk, session_key='schlüssel-漢字')}".encode())


@cases({"*": 403, "mysql": 200})
def a_blank_after_the_key_in_quotes_is_the_databases_matter(w):
    return get(cookie=f'sessionid="{w.session(w.clerk)} "')


@cases(403)
def two_cookie_headers_break_the_cookie(w):
    return get(STATS, ("Cookie", "a=b"), ("Cookie", f"sessionid={w.session(w.clerk)}"))


@cases(403)
def two_cookie_headers_break_the_cookie_that_comes_first(w):
    return get(STATS, ("Cookie", f"sessionid={w.session(w.clerk)}"), ("Cookie", "a=b"))


@cases(200)
def a_second_cookie_header_after_a_semicolon_spoils_nothing(w):
    return get(STATS, ("Cookie", f"sessionid={w.session(w.clerk)};"), ("Cookie", "a=b"))


test_answers = cases.test()
