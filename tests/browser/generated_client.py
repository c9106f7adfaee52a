"""Uses the client that openapi-generator made, as its README says: python generated_client.py HOST NAME PASSWORD

Run by the environment that has what the client needs, with the client on the path.
"""

import sys

import openapi_client
from openapi_client import ApiClient, Configuration, ExportApi, OperationsApi, SessionApi

host, name, password = sys.argv[1:]


def export(configuration):
    return ExportApi(ApiClient(configuration)).export_users(format="json", joined_after="0001-01-01T00:00:00+14:00")


with ApiClient(Configuration(host=host)) as stranger:
    assert OperationsApi(stranger).healthz().status == "ok"
    credentials = openapi_client.Credentials(username=name, password=password)
    login = SessionApi(stranger).login_with_http_info(credentials)
assert login.data.success is True and login.data.user.username == name

key = login.headers["Set-Cookie"].split(";")[0].split("=")[1]
by_session = Configuration(host=host, api_key={"session": key})
with ApiClient(by_session) as client:
    users = export(by_session)
    stats = ExportApi(client).export_stats().stats
    assert SessionApi(client).logout().success is True
assert users.success is True and users.count == len(users.users) == stats.exportable_users == stats.tv_users
assert {type(user.is_active) for user in users.users} == {bool} and users.users[0].id.actual_instance == 3
try:
    export(by_session)
    raise AssertionError("the session lives on")
except openapi_client.exceptions.ForbiddenException as error:
    assert "credentials" in error.data.detail

assert export(Configuration(host=host, username=name, password=password)) == users
print(f"{users.count} users")
