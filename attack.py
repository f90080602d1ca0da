"""Attack victims, and evaluate attacks × sources × victims.

python attack.py                       the embedded default: no data, no download
python attack.py --config configs/data/imagenet.yaml --config configs/victims/imagenet_local.yaml \
    --config configs/attacks/imperceptible.yaml --data.root DIR
python attack.py --grid configs/grids/shapes.yaml           attacks × budgets × sources × data
"""

import sys

from project.cli import attack_main
from project.core.errors import plain_errors
from project.grid import grid_main

if __name__ == "__main__":
    with plain_errors():
        by_grid = any(argument.split("=")[0] == "--grid" for argument in sys.argv[1:])
        grid_main() if by_grid else attack_main()
