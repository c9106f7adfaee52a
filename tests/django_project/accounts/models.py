"""The user model of the reference project: Django's AbstractUser with the customer's service flags."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from accounts import variant


class User(AbstractUser):
    if variant.KEY == "uuid":
        id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    elif variant.KEY == "int":
        id = models.AutoField(primary_key=True)
    if variant.USERNAME_FIELD == "email":
        email = models.EmailField(unique=True)
        USERNAME_FIELD = "email"
        REQUIRED_FIELDS = ["username"]
    if "is_tv_user" in variant.FIELDS:
        is_tv_user = models.BooleanField(default=False)
    if "is_movie_user" in variant.FIELDS:
        is_movie_user = models.BooleanField(default=False)

    class Meta:
        db_table = variant.TABLE
