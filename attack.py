"""Attack victims, and evaluate attacks × sources × victims: the same as ``mirage attack``.

python attack.py                       the embedded default: no data, no download
python attack.py --config configs/data/imagenet.yaml --config configs/victims/imagenet_local.yaml \
    --config configs/attacks/imperceptible.yaml --data.root DIR
python attack.py --grid configs/grids/shapes.yaml           attacks × budgets × sources × data
"""

from project.__main__ import attack

if __name__ == "__main__":
    attack()
