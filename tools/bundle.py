"""Builds the file tree of a board. The builder is in host_tools, so that an installed wheel has it too."""

import sys

from host_tools.bundle import Bundle, BundleError, build, main, modules

__all__ = ["Bundle", "BundleError", "build", "main", "modules"]

if __name__ == "__main__":
    sys.exit(main())
