"""Attack victims, and evaluate attacks × sources × victims.

python attack.py                       the embedded default: no data, no download
python attack.py --config configs/data/imagenet.yaml --config configs/victims/imagenet_local.yaml \
    --config configs/attacks/imperceptible.yaml --data.root DIR
python attack.py --grid configs/grids/shapes.yaml           attacks × budgets × sources × data
"""

import sys

from project.core.errors import plain_errors

KEPT = "What was attacked is in the store (--attack.store): the same command goes on from there."

if __name__ == "__main__":
    with plain_errors(KEPT):  # around the imports, too, which take seconds
        if any(argument.split("=")[0] == "--grid" for argument in sys.argv[1:]):
            from project.grid import grid_main

            grid_main()
        else:
            from project.cli import attack_main

            attack_main()
