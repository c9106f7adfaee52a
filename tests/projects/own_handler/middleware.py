from django.middleware.common import CommonMiddleware
from django.middleware.locale import LocaleMiddleware


class RegionMiddleware(LocaleMiddleware):
    """The language of the visitor's region."""


class RegionCommonMiddleware(CommonMiddleware):
    """CommonMiddleware by another name."""
