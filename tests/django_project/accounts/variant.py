"""The shape of the user model, from ORACLE_USER_MODEL: a JSON object, every entry optional.

table           AUTH_USER_MODEL._meta.db_table                "auth_user"
key             "big" (BigAutoField), "int" (AutoField), "uuid"   "big"
username_field  USERNAME_FIELD: "username" or "email"         "username"
fields          the services that the model knows             ["is_tv_user", "is_movie_user"]
"""

import json
import os

_given = json.loads(os.environ.get("ORACLE_USER_MODEL", "{}"))
TABLE = _given.get("table", "auth_user")
KEY = _given.get("key", "big")
USERNAME_FIELD = _given.get("username_field", "username")
FIELDS = _given.get("fields", ["is_tv_user", "is_movie_user"])
