"""AUTHENTICATION_BACKENDS without ModelBackend: what Django's other backends admit, by Basic and by session. A project whose
backends take no password is asked with and without the variable that says so."""

import json

from differential.cases import Cases, Variant
from differential.differences import DEAD_ROW_STAYS
from support.passwords import basic
from support.wire import EXPORT, get

cases = Cases()
BACKENDS = "django.contrib.auth.backends."


def of(*names):
    return {"AUTHENTICATION_BACKENDS": [BACKENDS + name for name in names]}


ALL_USERS = Variant("all-users", settings=of("AllowAllUsersModelBackend"))
REMOTE = Variant("remote-only", settings=of("RemoteUserBackend"))
NO_PASSWORD = Variant("remote-only-named", settings=of("RemoteUserBackend"), sidecar={"DJANGO_PASSWORD_BACKENDS": "[]"})
NAMED = Variant(
    "all-users-named", settings=of("AllowAllUsersModelBackend"),
    sidecar={"DJANGO_PASSWORD_BACKENDS": json.dumps([
        {"backend": BACKENDS + "AllowAllUsersModelBackend", "names": ["username"]}])},
)
BOTH = Variant("model-then-all-users", settings=of("ModelBackend", "AllowAllUsersModelBackend"))

for variant, clerk in ((ALL_USERS, 200), (REMOTE, 403), (NO_PASSWORD, 403), (NAMED, 200), (BOTH, 200)):
    name = variant.name.replace("-", "_")
    cases.add(f"{name}_basic_by_the_clerk", clerk, get(EXPORT, auth=basic("clerk")), variant=variant)
    cases.add(f"{name}_basic_by_an_inactive_user", 403, get(EXPORT, auth=basic("retired")), variant=variant)
    cases.add(f"{name}_basic_with_a_wrong_password", 403, get(EXPORT, auth=basic("clerk", "wrong")), variant=variant)
    cases.add(f"{name}_basic_by_an_inactive_user_with_a_wrong_password", 403, get(EXPORT, auth=basic("retired", "wrong")), variant=variant)
    for backend in ("ModelBackend", "AllowAllUsersModelBackend", "RemoteUserBackend"):
        status = 200 if BACKENDS + backend in variant.settings["AUTHENTICATION_BACKENDS"] else 403
        data = {"_auth_user_backend": BACKENDS + backend}
        build = lambda w, data=data: get(cookie=w.cookie(w.clerk, data=data))
        cases.add(f"{name}_a_session_of_{backend}", status, build, variant=variant)
        build = lambda w, data=data: get(cookie=w.cookie(w.retired, data=data))
        cases.add(f"{name}_an_inactive_users_session_of_{backend}", 403, build, variant=variant)


@cases(403, DEAD_ROW_STAYS, variant=ALL_USERS)
def an_inactive_users_session_with_a_wrong_hash_is_dead_where_all_users_are_allowed(w):
    data = {"_auth_user_backend": BACKENDS + "AllowAllUsersModelBackend", "_auth_user_hash": "0" * 64}
    return get(cookie=w.cookie(w.retired, data=data))


@cases(200, variant=ALL_USERS)
def an_inactive_users_session_gives_way_to_basic(w):
    data = {"_auth_user_backend": BACKENDS + "AllowAllUsersModelBackend"}
    return get(cookie=w.cookie(w.retired, data=data), auth=basic("clerk"))


test_answers = cases.test()
