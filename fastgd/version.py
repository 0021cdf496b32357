"""The version, where files that are written can read it, too."""

__version__ = "0.1.0"
