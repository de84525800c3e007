"""WsgiDAV on a folder, with locks in memory."""

import os

from wsgidav.wsgidav_app import WsgiDAVApp

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
os.makedirs(FILES, exist_ok=True)

application = WsgiDAVApp(
    {
        "provider_mapping": {"/": FILES},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": {"ann": {"password": "secret"}}}},
        "lock_storage": True,
        "logging": {"enable": False},
        # The URL of the mount: COPY and MOVE take their destination below it.
        "mount_path": "/dav",
    }
)
