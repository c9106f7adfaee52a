from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    is_tv_user = models.BooleanField(default=False)
    is_movie_user = models.BooleanField(default=False)
