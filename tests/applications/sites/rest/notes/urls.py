"""The addresses of the site."""

from django.urls import path

from notes import views

urlpatterns = [
    path("notes/", views.Notes.as_view()),
    path("forms/", views.Forms.as_view()),
    path("files/<str:filename>", views.Files.as_view()),
]
