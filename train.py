"""Train, validate or test a victim or a saliency network.

python train.py fit --config configs/train/camvid_unet.yaml --data.root DIR
python train.py test --config configs/train/camvid_unet.yaml --data.root DIR --ckpt_path FILE
python train.py fit --config configs/train/duts_tracer.yaml --data.root /path/to/DUTS
"""

from project.core.errors import plain_errors

KEPT = (
    "Checkpoints written so far are kept: add --ckpt_path FILE to go on from one, or begin anew. "
    "configs/train/resumable.yaml writes them as it goes."
)

if __name__ == "__main__":
    with plain_errors(KEPT):  # around the imports, too, which take seconds
        from project.cli import train_main

        train_main()
