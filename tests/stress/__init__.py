"""What docs/reliability.md promises, tried at any length: ``python -m tests.stress``."""
