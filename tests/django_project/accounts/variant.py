"""The shape of the user model, from ORACLE_USER_MODEL: a JSON object, every entry optional.

table           AUTH_USER_MODEL._meta.db_table                "auth_user"
key             "big" (BigAutoField), "int" (AutoField), "uuid",
                "unsigned" (PositiveBigIntegerField)          "big"
username_field  USERNAME_FIELD: "username" or "email"         "username"
fields          the services that the model knows             ["is_tv_user", "is_movie_user"]
generated       those of them that the database computes (GeneratedField, Django 5.0)    []
none            fields of AbstractUser that the model sets to None                       []
prepare         SQL before the user table is made             []
text            {"type": ..., "collation": ...} of the user name's column (Field.db_type, db_collation)    {}
ascii_names     seeds no user whose name is outside ASCII     false
tokens          DRF's authtoken is installed                  false
"""

import json
import os

_given = json.loads(os.environ.get("ORACLE_USER_MODEL", "{}"))
TABLE = _given.get("table", "auth_user")
KEY = _given.get("key", "big")
USERNAME_FIELD = _given.get("username_field", "username")
FIELDS = _given.get("fields", ["is_tv_user", "is_movie_user"])
GENERATED = _given.get("generated", [])
NONE = _given.get("none", [])
PREPARE = _given.get("prepare", [])
TEXT = _given.get("text", {})
ASCII_NAMES = _given.get("ascii_names", False)
TOKENS = _given.get("tokens", False)
