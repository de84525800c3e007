"""The application's entry for Django."""

from django.apps import AppConfig
from django.core.checks import register


class GilkeeperConfig(AppConfig):
    name = "gilkeeper.django"
    label = "gilkeeper"
    verbose_name = "Gilkeeper"

    def ready(self):
        from .checks import gil_modes

        # It imports the project in several processes, so it is for deployments.
        register(gil_modes, "gilkeeper", deploy=True)
