from common_urls import urlpatterns
from django.http import Http404
from django.urls import re_path


def page(request, path):
    raise Http404(path)


# /accounts/login/, where LOGIN_URL leads, is none of the pages.
urlpatterns = [*urlpatterns, re_path(r"^((?:[\w-]+/)*)$", page)]
