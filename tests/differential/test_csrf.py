"""CSRF: a session with an unsafe method, with every way to send the token right and wrong."""

from differential.cases import Cases, Variant
from differential.differences import BODY_NOT_READ, CSRF_COOKIE_LEFT, CSRF_COOKIE_LEFT_406, FORM_NOT_READ, HEADER_ALONE
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEF"
OTHER = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
LONG = TOKEN + OTHER
FORM = ("Content-Type", "application/x-www-form-urlencoded")
# 4.0 still replaces every 32-character token.
NEWER = ("4.2", "5.2", "6.1")


def masked(secret=TOKEN, mask=OTHER):
    """`_mask_cipher_secret` of django.middleware.csrf."""
    chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return mask + "".join(chars[(chars.index(a) + chars.index(b)) % 62] for a, b in zip(secret, mask))


def post(name, status, *headers, csrftoken=TOKEN, body=b"", user="clerk", method="POST", **more):
    def build(w):
        cookie = w.cookie(getattr(w, user))
        if csrftoken is not None:
            cookie += f"; csrftoken={csrftoken}"
        return get(EXPORT, *headers, cookie=cookie, method=method, body=body)

    cases.add(name, status, build, **({"versions": NEWER} | more))


post("a_post_without_a_csrf_cookie_is_refused", 403, csrftoken=None, versions=())
post("a_post_with_a_header_but_no_cookie_is_refused", 403, ("X-CSRFToken", TOKEN), csrftoken=None, versions=())
post("a_post_without_a_csrf_header_is_refused", 403)
post("a_post_with_the_right_token_is_405", 405, ("X-CSRFToken", TOKEN))
post("a_post_with_the_masked_token_is_405", 405, ("X-CSRFToken", masked()))
post("a_post_with_a_token_masked_otherwise_is_405", 405, ("X-CSRFToken", masked(mask=TOKEN)))
post("a_post_with_another_token_is_refused", 403, ("X-CSRFToken", OTHER))
post("a_post_with_another_masked_token_is_refused", 403, ("X-CSRFToken", masked(OTHER)))
post("a_post_with_a_short_token_is_refused", 403, ("X-CSRFToken", "abc"))
post("a_post_with_an_empty_token_is_refused", 403, ("X-CSRFToken", ""))
post("a_post_with_a_token_of_33_letters_is_refused", 403, ("X-CSRFToken", TOKEN + "x"))
post("a_post_with_a_token_of_bad_characters_is_refused", 403, ("X-CSRFToken", "-" * 32))
post("a_post_with_a_long_token_of_bad_characters_is_refused", 403, ("X-CSRFToken", "_" * 64))
post("a_put_without_a_token_is_refused", 403, method="PUT")
post("a_delete_with_the_right_token_is_405", 405, ("X-CSRFToken", TOKEN), method="DELETE")
post("an_unknown_method_without_a_token_is_refused", 403, method="FOO")
post("an_unknown_method_with_the_right_token_is_405", 405, ("X-CSRFToken", TOKEN), method="FOO")
post("a_plain_users_post_without_a_token_is_about_csrf", 403, user="plain")
post("a_plain_users_post_with_the_right_token_is_about_permission", 403, ("X-CSRFToken", TOKEN), user="plain")
post("a_token_in_a_form_is_taken", 405, FORM, body=f"csrfmiddlewaretoken={TOKEN}".encode(), differs=FORM_NOT_READ)
post("a_masked_token_in_a_form_is_taken", 405, FORM, body=f"csrfmiddlewaretoken={masked()}".encode(), differs=FORM_NOT_READ)
post("a_token_in_a_form_among_other_fields_is_taken", 405, FORM, body=f"a=b&csrfmiddlewaretoken={TOKEN}&c=d".encode(), differs=FORM_NOT_READ)
post("a_wrong_token_in_a_form_is_refused", 403, FORM, body=f"csrfmiddlewaretoken={OTHER}".encode(), differs=FORM_NOT_READ)
post("a_short_token_in_a_form_is_refused", 403, FORM, body=b"csrfmiddlewaretoken=abc", differs=FORM_NOT_READ)
post("a_token_in_a_form_precedes_the_header", 403, FORM, ("X-CSRFToken", TOKEN), body=f"csrfmiddlewaretoken={OTHER}".encode(), differs=HEADER_ALONE)
post("an_empty_token_in_a_form_leaves_it_to_the_header", 405, FORM, ("X-CSRFToken", TOKEN), body=b"csrfmiddlewaretoken=")
post("a_token_in_json_is_not_taken", 403, ("Content-Type", "application/json"), body=f'{{"csrfmiddlewaretoken":"{TOKEN}"}}'.encode())
post("a_token_in_the_form_of_a_put_is_not_taken", 403, FORM, method="PUT", body=f"csrfmiddlewaretoken={TOKEN}".encode())
post(
    "a_token_in_a_multipart_form_is_taken", 405, ("Content-Type", "multipart/form-data; boundary=b"),
    body=f'--b\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{TOKEN}\r\n--b--\r\n'.encode(),
    differs=FORM_NOT_READ,
)
for name, status, content_type, body in [
    ("json_that_is_none", 400, "application/json", b"{"),
    ("a_form_of_too_many_fields", 400, "application/x-www-form-urlencoded", b"&" * 1000),
]:
    post(f"a_body_of_{name}_is_not_read", status, ("X-CSRFToken", TOKEN), ("Content-Type", content_type), body=body, differs=BODY_NOT_READ)
post("the_same_origin_passes", 405, ("X-CSRFToken", TOKEN), ("Origin", "http://testserver"))
post("a_foreign_origin_is_refused", 403, ("X-CSRFToken", TOKEN), ("Origin", "https://evil.example"))
post("an_origin_of_null_is_refused", 403, ("X-CSRFToken", TOKEN), ("Origin", "null"))
post("an_origin_of_https_is_another_one", 403, ("X-CSRFToken", TOKEN), ("Origin", "https://testserver"))
post("an_origin_with_a_port_is_another_one", 403, ("X-CSRFToken", TOKEN), ("Origin", "http://testserver:80"))
post("an_origin_in_upper_case_is_another_one", 403, ("X-CSRFToken", TOKEN), ("Origin", "HTTP://TESTSERVER"))
post("an_origin_that_is_no_url_is_refused", 403, ("X-CSRFToken", TOKEN), ("Origin", "http://[x"))
post("an_empty_origin_is_refused", 403, ("X-CSRFToken", TOKEN), ("Origin", ""))
post("an_origin_of_two_lines_is_refused", 403, ("X-CSRFToken", TOKEN), ("Origin", 'a"b\\c'))
post("a_referer_over_http_is_not_looked_at", 405, ("X-CSRFToken", TOKEN), ("Referer", "https://evil.example/"))
post("a_foreign_origin_is_refused_before_the_cookie_is_missed", 403, ("Origin", "https://evil.example"), csrftoken=None, versions=())
post("a_csrf_cookie_of_64_letters_matches_its_secret", 405, ("X-CSRFToken", masked()), csrftoken=masked(mask=TOKEN), versions=("4.2", "5.2", "6.1"))
post("a_csrf_cookie_in_quotes_is_unquoted", 405, ("X-CSRFToken", TOKEN), csrftoken=f'"{TOKEN}"')
post("a_csrf_header_in_another_case_is_read", 405, ("x-csrftoken", TOKEN))

# Without a session there is no CSRF check.
cases.add("a_post_by_basic_needs_no_csrf_token", 405, get(EXPORT, auth=basic("clerk"), method="POST"))
cases.add("a_post_by_basic_from_a_foreign_origin_is_405", 405, get(EXPORT, ("Origin", "https://evil.example"), auth=basic("clerk"), method="POST"))
cases.add("an_anonymous_post_from_a_foreign_origin_is_about_credentials", 403, get(EXPORT, ("Origin", "https://evil.example"), method="POST"))

# A malformed csrftoken cookie: Django replaces it on every answer.
for name, token in {"too_short": "abc", "empty": "", "of_bad_characters": "-" * 32, "of_33_letters": "x" * 33, "of_63_letters": "x" * 63}.items():
    cases.add(f"a_csrf_cookie_{name}_is_left_alone", 200, get(STATS, cookie=f"csrftoken={token}", auth=basic("clerk")), CSRF_COOKIE_LEFT)
    cases.add(f"a_csrf_cookie_{name}_is_left_alone_on_a_403", 403, get(STATS, cookie=f"csrftoken={token}"), CSRF_COOKIE_LEFT)
cases.add("a_malformed_csrf_cookie_is_left_alone_on_a_406", 406, get(STATS, ("Accept", "a/b"), cookie="csrftoken=abc"), CSRF_COOKIE_LEFT_406)
cases.add("a_good_csrf_cookie_changes_nothing", 200, get(STATS, cookie=f"csrftoken={TOKEN}", auth=basic("clerk")), older_text=("4.0",))
cases.add("a_good_long_csrf_cookie_changes_nothing", 200, get(STATS, cookie=f"csrftoken={LONG}", auth=basic("clerk")))
post("a_post_with_a_malformed_csrf_cookie_is_refused", 403, ("X-CSRFToken", TOKEN), csrftoken="abc", differs=CSRF_COOKIE_LEFT)
post("a_post_with_a_csrf_cookie_of_bad_characters_is_refused", 403, ("X-CSRFToken", TOKEN), csrftoken="-" * 32, differs=CSRF_COOKIE_LEFT)

TRUSTING = Variant("trusted-origins", settings={"ALLOWED_HOSTS": ["testserver"]})
post("the_origin_of_the_host_passes_with_an_explicit_list_of_hosts", 405, ("X-CSRFToken", TOKEN), ("Origin", "http://testserver"), variant=TRUSTING)


test_answers = cases.test()
