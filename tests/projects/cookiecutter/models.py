from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    name = models.CharField(max_length=255, blank=True)
    first_name = None
    last_name = None
    is_tv_user = models.BooleanField(default=False)
    is_movie_user = models.BooleanField(default=False)
