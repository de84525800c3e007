"""A Zope instance in the folder of this script."""

import os

INSTANCE = os.environ["INSTANCE_HOME"] = os.path.dirname(os.path.abspath(__file__))
os.makedirs(os.path.join(INSTANCE, "var"), exist_ok=True)

from Zope2.Startup.run import make_wsgi_app  # noqa: E402
from ZPublisher.httpexceptions import HTTPExceptionHandler  # noqa: E402

# The filter stands in the pipeline of Zope's own zope.ini, too: without it a missing page is a 500.
application = HTTPExceptionHandler(make_wsgi_app({}, os.path.join(INSTANCE, "zope.conf")))
