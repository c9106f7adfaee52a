"""The modules of `shop` and `people` that `test_django_settings_rest.py` writes into its project: authenticators, renderers,
exception handlers and views of the project's own."""

REST = '''
from rest_framework import authentication, exceptions, renderers
from people.models import LooseKey, MachineKey, Member

class BearerToken(authentication.TokenAuthentication):
    keyword = "Bearer"

class ApiKeyToken(authentication.TokenAuthentication):
    keyword, model = "Api-Key", MachineKey
    def authenticate_header(self, request): return 'Api-Key realm="shop"'

class HashedToken(authentication.TokenAuthentication):
    keyword = "Hashed"
    def authenticate_credentials(self, key): return super().authenticate_credentials(key[::-1])

class ExpiringToken(authentication.TokenAuthentication):
    def authenticate_credentials(self, key):
        user, token = super().authenticate_credentials(key)
        raise exceptions.AuthenticationFailed("Token has expired")

class ExemptSession(authentication.SessionAuthentication):
    def enforce_csrf(self, request): return

class OtherCsrf(authentication.SessionAuthentication):
    def enforce_csrf(self, request): raise exceptions.PermissionDenied("no token")

class Session401(authentication.SessionAuthentication):
    def authenticate_header(self, request): return "Session"

class StaffSession(authentication.SessionAuthentication):
    def authenticate(self, request):
        found = super().authenticate(request)
        return found if found and found[0].is_staff else None

class SessionCookie(authentication.BaseAuthentication):
    def authenticate(self, request):
        if request.COOKIES.get("sessionid"): raise exceptions.AuthenticationFailed()

class ShopBasic(authentication.BasicAuthentication):
    www_authenticate_realm = "shop"

class ScriptBasic(authentication.BasicAuthentication):
    def authenticate_header(self, request):
        return "x" * (request.headers.get("X-Requested-With") == "XMLHttpRequest") + super().authenticate_header(request)

class DirectoryBasic(authentication.BasicAuthentication):
    def authenticate_credentials(self, userid, password, request=None): raise exceptions.AuthenticationFailed("directory")

class Remote(authentication.RemoteUserAuthentication): pass

class OpenDoor(authentication.BaseAuthentication):
    def authenticate(self, request): return Member(is_staff=True), None

class Allowed(authentication.BaseAuthentication):
    def authenticate(self, request): Member.objects.filter(username=request.META["REMOTE_ADDR"]).first()

class ByAddress(authentication.BaseAuthentication):
    def authenticate(self, request):
        if request.META["REMOTE_ADDR"].startswith("10."): return Member(is_staff=True), None

class ByAllOfMeta(authentication.BaseAuthentication):
    def authenticate(self, request):
        if dict(request.META).get("HTTP_X_KEY") == "right": return Member(is_staff=True), None

class ByPath(authentication.BaseAuthentication):
    def authenticate(self, request):
        if request.path == "/open": return Member(is_staff=True), None

class ByMiddleware(authentication.BaseAuthentication):
    def authenticate(self, request):
        user = getattr(request, "jwt_user", None)
        return user and (user, None)

class AddressOrKey(authentication.BaseAuthentication):
    def authenticate(self, request):
        if request.META["REMOTE_ADDR"].startswith("10.") or request.headers.get("X-Api-Key") == "right":
            return Member(is_staff=True), None

class AnyHeader(authentication.BaseAuthentication):
    def authenticate(self, request):
        for name, value in request.headers.items():
            if name.endswith("-Key") and value == "right": return Member(is_staff=True), None

class AnyOrKey(AnyHeader):
    def authenticate(self, request):
        if request.headers.get("X-Api-Key"): raise exceptions.AuthenticationFailed()
        return super().authenticate(request)

class CookieOrBearer(authentication.BaseAuthentication):
    def authenticate(self, request):
        if "jwt=right" in request.META.get("HTTP_COOKIE", "") or request.META.get("HTTP_AUTHORIZATION", "").startswith("Bearer "):
            raise exceptions.AuthenticationFailed()

class LooseToken(authentication.TokenAuthentication):
    keyword, model = "Loose", LooseKey

class HeaderKey(authentication.BaseAuthentication):
    def authenticate(self, request):
        if request.headers.get("X-API-Key"): raise exceptions.AuthenticationFailed("Wrong key.")

class ProxyUser(authentication.RemoteUserAuthentication):
    header = "HTTP_X_FORWARDED_USER"
    def authenticate(self, request):
        if request.get_host() and request.META.get(self.header): return super().authenticate(request)

class Anywhere(authentication.BaseAuthentication):
    def authenticate(self, request):
        words = request.META.get("HTTP_AUTHORIZATION", "").split()
        found = words[1] if len(words) == 2 and words[0] == "JWT" else None
        found = found or request.COOKIES.get("jwt") or request.query_params.get("token")
        if found: raise exceptions.AuthenticationFailed("Wrong token.")
    def authenticate_header(self, request): return 'JWT realm="api"'

class AnyScheme(authentication.BaseAuthentication):
    def authenticate(self, request):
        if "Authorization" in request.headers: raise exceptions.AuthenticationFailed("Wrong.")

class SameJson(renderers.JSONRenderer):
    """Another name for the same."""

class CamelJson(renderers.JSONRenderer):
    def render(self, data, *arguments): return super().render({key.title(): value for key, value in data.items()}, *arguments)

class CharsetJson(renderers.JSONRenderer):
    charset = "utf-8"

class BareBrowsable(renderers.BrowsableAPIRenderer):
    template = "bare.html"

class Xml(renderers.BaseRenderer):
    media_type, format = "application/xml", "xml"
    def render(self, data, *arguments): return "<xml/>"
'''
# A module beside `REST`, because DRF's views import the classes above.
HANDLERS_MODULE = '''
from rest_framework import exceptions
from rest_framework.views import exception_handler
from people.models import Member

def handler_of_validation_errors(error, context):
    response = exception_handler(error, context)
    if isinstance(error, exceptions.ValidationError): response.data = {"errors": response.data}
    return response

def handler_of_wrong_credentials(error, context):
    response = exception_handler(error, context)
    if isinstance(error, exceptions.AuthenticationFailed): response.data["code"] = "wrong"
    return response

def handler_that_wraps(error, context):
    response = exception_handler(error, context)
    if response is not None: response.data = {"error": response.data}
    return response

def handler_of_not_found(error, context):
    response = exception_handler(error, context)
    if response.status_code == 404: response.data = {"detail": context["request"].path}
    return response

def handler_without_challenge(error, context):
    response = exception_handler(error, context)
    response.headers.pop("WWW-Authenticate", None)
    return response

def handler_that_raises(error, context):
    if context["request"].method == "POST" and context["request"].user.is_authenticated: raise error
    return exception_handler(error, context)

def handler_that_queries(error, context):
    if context["request"].user.is_authenticated and context["request"].method == "GET": Member.objects.count()
    return exception_handler(error, context)
'''
KEYS = """
class MachineKey(models.Model):
    key = models.CharField(max_length=40, db_column="text", unique=True)
    user = models.ForeignKey(Member, models.CASCADE, db_column="owner_id")
    class Meta: db_table = "machine keys"

class LooseKey(models.Model):
    key = models.CharField(max_length=40)
    user = models.ForeignKey(Member, models.CASCADE)
"""
# Both views name their own classes, one of them by the arguments of as_view and under a path with a parameter.
OWN_URLS = """
from django.contrib import admin
from django.urls import path
from api.views.admin.admin_views import export_stats, export_users
from rest_framework.authentication import SessionAuthentication
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.views import exception_handler
stats = export_stats.cls
stats.authentication_classes, stats.renderer_classes, stats.throttle_classes = [SessionAuthentication], [JSONRenderer], []
for view in (export_stats.cls, export_users.cls):
    view.get_exception_handler = lambda view: exception_handler
users = export_users.cls.as_view(
    authentication_classes=[SessionAuthentication], renderer_classes=[JSONRenderer, BrowsableAPIRenderer], throttle_classes=[])
urlpatterns = [path("<str:version>/export-users/", users), path("export-stats", export_stats), path("admin/", admin.site.urls)]
"""
