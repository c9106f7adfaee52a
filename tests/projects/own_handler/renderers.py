from rest_framework.renderers import BaseRenderer


class TextRenderer(BaseRenderer):
    media_type, format = "text/plain", "txt"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        return str(data).encode()
