"""A W&B workspace defined in code, so that a team gets the same dashboard by one command.

It is built from the folder of one run, whose names of attacks, victims and numbers are those that
the logger gives them, and shows every run of the W&B project that has them: a sweep, say.
"""
