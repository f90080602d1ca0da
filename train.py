"""Train, validate or test a victim or a saliency network: the same as ``mirage train``.

python train.py fit --config configs/train/camvid_unet.yaml --data.root DIR
python train.py test --config configs/train/camvid_unet.yaml --data.root DIR --ckpt_path FILE
python train.py fit --config configs/train/duts_tracer.yaml --data.root /path/to/DUTS
"""

from project.__main__ import train

if __name__ == "__main__":
    train()
