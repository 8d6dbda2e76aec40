"""A recording of your own: reading it, its windows, its events, and the command `san`."""

import importlib

#: The names that stay, and the modules that they come from, each imported at first use.
_MODULES = {
    "open_recording": "sanbook.signals.formats",
    "fit_model": "sanbook.signals.fit",
    "EventModel": "sanbook.signals.events",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
