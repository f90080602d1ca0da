"""What tests of the callbacks share with those of whole runs."""

from tests.experiment.conftest import attacked

__all__ = ["attacked"]
