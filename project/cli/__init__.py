"""The command lines of train.py and attack.py."""

from project.cli.attack import attack_main
from project.cli.train import train_main

__all__ = ["attack_main", "train_main"]
