"""Authenticators such as projects have: subclasses of DRF's, and one that only Django knows."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class BearerTokens(TokenAuthentication):
    keyword = "Bearer"


class ChallengingSessions(SessionAuthentication):
    """Anonymous clients get 401, as in many single-page applications."""

    def authenticate_header(self, request):
        return "Session"


class SessionsWithoutCsrf(SessionAuthentication):
    def enforce_csrf(self, request):
        return None


class Keys(BaseAuthentication):
    """Of the project's own: the sidecar leaves it to Django. No key is right."""

    def authenticate(self, request):
        if request.headers.get("X-Api-Key"):
            raise AuthenticationFailed("Authentication credentials were not provided.")
        return None

    def authenticate_header(self, request):
        return 'ApiKey realm="reference"'
