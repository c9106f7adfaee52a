"""The customer's two paths."""

from django.urls import path

from ..views.admin.admin_views import export_stats, export_users

urlpatterns = [
    path("export-users/", export_users, name="admin_export_users"),
    path("export-stats/", export_stats, name="admin_export_stats"),
]
