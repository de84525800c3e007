"""Notes and files through Django REST framework, without a database."""
