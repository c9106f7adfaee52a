"""The two views that the sidecar answers for, behaving as the customer's text has them.

Field names, messages, log lines and docstrings (which OPTIONS shows) are the customer's; so is the order of the queries.
"""

import logging

from django.conf import settings
from django.contrib.auth import get_user_model
from rest_framework import status
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.response import Response

logger = logging.getLogger(__name__)
User = get_user_model()


def exported(user):
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "tv_service": True,
        "movie_service": getattr(user, "is_movie_user", False),
        "is_active": user.is_active,
        "date_joined": user.date_joined.isoformat(),
    }


@api_view(["GET"])
@permission_classes([IsAuthenticated, IsAdminUser])
def export_users(request):
    """
    Export users with TV service for TwentyFour/Seven import.
    Only admin users can access this endpoint.
    
    Returns:
        JSON response with list of active TV users including:
        - id, username, email, first_name, last_name
        - tv_service status, is_active status, date_joined
    """
    try:
        logger.info(f"Admin user {request.user.username} requesting user export for TwentyFour/Seven")
        found = User.objects.filter(is_active=True, is_tv_user=True).order_by("date_joined")
        logger.info(f"Found {found.count()} active TV users for export")
        users = [exported(user) for user in found]
        logger.info(f"Successfully exported {len(users)} TV users for TwentyFour/Seven import")
        answer = {
            "success": True,
            "count": len(users),
            "users": users,
            "message": f"Successfully exported {len(users)} TV users",
        }
        return Response(answer, status=status.HTTP_200_OK)
    except Exception as e:
        logger.error(f"Error exporting users for TwentyFour/Seven: {str(e)}", exc_info=True)
        answer = {
            "success": False,
            "error": "Failed to export users. Please try again.",
            "details": str(e) if settings.DEBUG else None,
        }
        return Response(answer, status=status.HTTP_500_INTERNAL_SERVER_ERROR)


@api_view(["GET"])
@permission_classes([IsAuthenticated, IsAdminUser])
def export_stats(request):
    """
    Get statistics about exportable users.
    Useful for admins to see what would be exported before doing the actual export.
    """
    try:
        active = User.objects.filter(is_active=True).count()
        tv = User.objects.filter(is_active=True, is_tv_user=True).count()
        movie = 0
        if hasattr(User, "is_movie_user"):
            movie = User.objects.filter(is_active=True, is_movie_user=True).count()
        stats = {
            "total_active_users": active,
            "tv_users": tv,
            "movie_users": movie,
            "exportable_users": tv,
        }
        return Response({"success": True, "stats": stats}, status=status.HTTP_200_OK)
    except Exception as e:
        logger.error(f"Error getting export stats: {str(e)}", exc_info=True)
        answer = {"success": False, "error": "Failed to get export statistics"}
        return Response(answer, status=status.HTTP_500_INTERNAL_SERVER_ERROR)
