"""Middleware of a project's own, for settings that a test gives."""

import time

from django.utils.cache import patch_cache_control, patch_vary_headers


def adds_headers(get_response):
    """Headers as a site adds them to every answer."""

    def middleware(request):
        begun = time.monotonic()
        response = get_response(request)
        response["X-Site"] = "shop"
        response["X-Elapsed"] = f"{time.monotonic() - begun:.6f}"
        response["Content-Security-Policy"] = "default-src 'self'"
        patch_cache_control(response, private=True)
        patch_vary_headers(response, ["origin"])
        return response

    return middleware


def wraps_statistics(get_response):
    """Another body."""

    def middleware(request):
        response = get_response(request)
        if response.status_code == 200 and response.get("Content-Type") == "application/json" and request.method == "GET":
            response.content = b'{"data":%b}' % response.content
        return response

    return middleware
