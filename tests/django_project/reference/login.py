"""The login and logout that a Django application of this kind has: plain views around `django.contrib.auth`."""

import json

from django.contrib.auth import authenticate, login, logout
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def log_in(request):
    credentials = json.loads(request.body)
    user = authenticate(request, username=credentials.get("username"), password=credentials.get("password"))
    if user is None:
        return JsonResponse({"detail": "Invalid credentials"}, status=401)
    login(request, user)
    return JsonResponse({"success": True})


@csrf_exempt
def log_out(request):
    logout(request)
    return JsonResponse({"success": True})
