"""The pages beside the admin: the notes as JSON, an upload, a download, a stream, an error."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from notes.models import Note


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse('<!doctype html><title>Notes</title><h1>Notes</h1><p><a href="/admin/">The admin</a></p>')


@csrf_exempt
def notes(request: HttpRequest) -> JsonResponse:
    """GET lists, POST adds; both through the ORM."""
    if request.method == "POST":
        sent = request.FILES.get("file")
        note = Note.objects.create(text=request.POST.get("text", ""), file=sent)
        return JsonResponse({"id": note.pk, "size": sent.size if sent else 0}, status=201)
    found = Note.objects.order_by("pk").values("id", "text")
    return JsonResponse({"notes": list(found)})


def download(request: HttpRequest, number: int) -> FileResponse:
    note = get_object_or_404(Note, pk=number)
    return FileResponse(note.file.open("rb"), as_attachment=True)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        for number in range(1000):
            yield f"line {number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("as /error was asked to")
