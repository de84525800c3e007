"""A note with an optional file."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    text = models.TextField()
    file = models.FileField(blank=True)
    made = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:40]
