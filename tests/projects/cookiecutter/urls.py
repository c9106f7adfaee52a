from common_urls import urlpatterns
from django.urls import include, path

urlpatterns = [*urlpatterns, path("accounts/", include("allauth.urls"))]
