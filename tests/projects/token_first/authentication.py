from rest_framework.authentication import SessionAuthentication, TokenAuthentication


class BearerAuthentication(TokenAuthentication):
    keyword = "Bearer"


class CsrfExemptSessionAuthentication(SessionAuthentication):
    def enforce_csrf(self, request):
        """For clients that are no browsers."""
