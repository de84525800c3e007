"""Started by the front as the admin process, with `-I -S`: no site, no application, one import."""

import sys

if __name__ == "__main__":
    sys.path.append(__file__.rpartition("/")[0].rpartition("/")[0])
    from gilkeeper import _native

    sys.exit(_native.admin())
