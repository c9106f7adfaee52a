"""The reference project's URLs: login and logout, and the two export endpoints where the customer mounts them."""

from django.urls import include, path

from reference import login

urlpatterns = [
    path("api/login/", login.log_in),
    path("api/logout/", login.log_out),
    path("api/admin/", include("api.urls.admin_urls")),
]
