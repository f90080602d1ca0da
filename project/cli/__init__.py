"""The command lines of train.py and attack.py."""
