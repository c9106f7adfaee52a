"""The user model of the reference project: Django's AbstractUser with the customer's service flags."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts import variant


class NameField(models.CharField):
    """A user name in a column of the type and the collation that the variant names."""

    def db_type(self, connection):
        return variant.TEXT.get("type") or super().db_type(connection)


def service(name):
    """A service flag; one that the database computes is true for every user who has a first name."""
    if name not in variant.GENERATED:
        return models.BooleanField(default=False)
    named = models.Case(models.When(first_name="", then=False), default=True)
    return models.GeneratedField(expression=named, output_field=models.BooleanField(), db_persist=True)


class User(AbstractUser):
    if variant.KEY == "uuid":
        id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    elif variant.KEY == "int":
        id = models.AutoField(primary_key=True)
    elif variant.KEY == "unsigned":
        id = models.PositiveBigIntegerField(primary_key=True)
    if variant.USERNAME_FIELD == "email":
        email = models.EmailField(unique=True)
        USERNAME_FIELD = "email"
        REQUIRED_FIELDS = [name for name in ["username"] if name not in variant.NONE]
    if variant.TEXT:
        username = NameField(max_length=150, unique=True, db_collation=variant.TEXT.get("collation"))
    if "is_tv_user" in variant.FIELDS:
        is_tv_user = service("is_tv_user")
    if "is_movie_user" in variant.FIELDS:
        is_movie_user = service("is_movie_user")
    for _field in variant.NONE:
        locals()[_field] = None

    class Meta:
        db_table = variant.TABLE
