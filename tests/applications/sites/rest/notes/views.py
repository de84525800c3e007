"""JSON, forms with files, and bare uploads; each answer says what has come."""

import hashlib

from rest_framework import parsers, serializers
from rest_framework.response import Response
from rest_framework.views import APIView


class Note(serializers.Serializer):
    title = serializers.CharField(max_length=40)
    lines = serializers.ListField(child=serializers.CharField(), min_length=1)


class Form(serializers.Serializer):
    title = serializers.CharField()
    file = serializers.FileField()


def described(file):
    digest = hashlib.sha256(b"".join(file.chunks())).hexdigest()
    return {"name": file.name, "size": file.size, "type": file.content_type, "sha256": digest}


class Notes(APIView):
    parser_classes = [parsers.JSONParser]

    def post(self, request):
        note = Note(data=request.data)
        note.is_valid(raise_exception=True)
        return Response({"title": note.data["title"], "lines": len(note.data["lines"])}, status=201)


class Forms(APIView):
    parser_classes = [parsers.MultiPartParser, parsers.FormParser]

    def post(self, request):
        form = Form(data=request.data)
        form.is_valid(raise_exception=True)
        return Response({"title": form.validated_data["title"], "file": described(form.validated_data["file"])}, status=201)


class Files(APIView):
    parser_classes = [parsers.FileUploadParser]

    def put(self, request, filename):
        return Response(described(request.data["file"]), status=201)
