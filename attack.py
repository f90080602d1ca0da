"""Attack victims, and evaluate attacks × sources × victims.

python attack.py                       the embedded default: no data, no download
python attack.py --config configs/data/imagenet.yaml --config configs/victims/imagenet_local.yaml \
    --config configs/attacks/imperceptible.yaml --data.root DIR
"""

from project.attack_cli import attack_main
from project.errors import plain_errors

if __name__ == "__main__":
    with plain_errors():
        attack_main()
