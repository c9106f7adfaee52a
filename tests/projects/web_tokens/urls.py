from common_urls import urlpatterns
from django.urls import path
from knox.views import LoginView
from rest_framework.authentication import BasicAuthentication
from rest_framework_simplejwt.views import TokenObtainPairView

urlpatterns = [
    *urlpatterns,
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/knox/", LoginView.as_view(authentication_classes=[BasicAuthentication])),
]
