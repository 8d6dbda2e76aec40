"""Fetch, verify and list the data sets: ``python -m sanbook.data``."""

import sys

from sanbook.data import main

sys.exit(main())
