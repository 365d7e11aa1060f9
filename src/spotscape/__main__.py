"""The command line as ``python -m spotscape``."""

import sys

from spotscape._cli import main

sys.exit(main())
