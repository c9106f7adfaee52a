import logging

from rest_framework import exceptions, views


def handle(error, context):
    response = views.exception_handler(error, context)
    if response is None:
        logging.getLogger(__name__).error("%s failed", context["view"])
    elif isinstance(error, exceptions.ValidationError):
        response.data = {"errors": response.data, "status": response.status_code}
    return response
