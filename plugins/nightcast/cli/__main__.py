"""``python -m nightcast.cli``."""

import sys

from nightcast.cli import main

sys.exit(main())
