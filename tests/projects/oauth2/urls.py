from common_urls import urlpatterns
from django.urls import include, path

urlpatterns = [*urlpatterns, path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
