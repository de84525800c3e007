"""Which view answers what."""

from django.contrib import admin
from django.urls import path

from notes import views

urlpatterns = [
    path("", views.home),
    path("admin/", admin.site.urls),
    path("notes/", views.notes),
    path("notes/<int:number>/file", views.download),
    path("stream/", views.stream),
    path("error/", views.error),
]
