"""Files damaged at random, in every place where a file is read: ``python -m tests.fuzz``.

A ground is a kind of input. It makes an intact one, says which of its files are to be damaged,
uses it as the product does, and judges what came of a use that went through. Each case ends in

- a right result, by something that is independent of the code under test,
- one plain line, by which the product refuses the input, or
- a fault: a traceback, a hang, a wrong result, a program started, a file written elsewhere.

It takes minutes, and so is no part of the suite; ``tests/test_fuzz.py`` runs some of each ground.
"""
