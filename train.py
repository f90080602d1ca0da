"""Train, validate or test a victim or a saliency network.

python train.py fit --config configs/train/camvid_unet.yaml --data.root DIR
python train.py test --config configs/train/camvid_unet.yaml --data.root DIR --ckpt_path FILE
python train.py fit --config configs/train/duts_tracer.yaml --data.root /path/to/DUTS
"""

from project.cli import train_main
from project.core.errors import plain_errors

if __name__ == "__main__":
    with plain_errors():
        train_main()
