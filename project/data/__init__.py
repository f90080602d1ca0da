"""Data sets of images and targets, verified before use and dealt to processes in whole batches."""

import os

# Set before albumentations is imported: it would ask the internet for a newer version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from project.data.augmentation import (
    Augmentation,
    PaddedCrop,
    ResizedCrop,
    ScaledCrop,
    TracerAugmentation,
)
from project.data.camvid import CamVidData
from project.data.cifar import CIFARData
from project.data.cityscapes import CityscapesData
from project.data.cutouts import CutoutData
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import CentreCrop, Frame, Native, PadToSquare, Stretch
from project.data.foolbox_photos import FoolboxPhotos
from project.data.image_list import ImageListData
from project.data.imagenet import ImageNetData
from project.data.mask_folder import MaskFolderData
from project.data.saliency_folder import SaliencyFolderData
from project.data.salient_objects import SalientObjectData
from project.data.sample_set import SampleSet
from project.data.samplers import DealtBatchSampler
from project.data.shapes_data import ShapesData
from project.data.shard_data import MaskShardData, ShardData
from project.data.tiny_imagenet import TinyImageNetData
from project.data.verify import DataError
from project.data.voc import VOCData

__all__ = [
    "AttackDataModule",
    "Augmentation",
    "CIFARData",
    "CamVidData",
    "CentreCrop",
    "CityscapesData",
    "CutoutData",
    "DataError",
    "DealtBatchSampler",
    "FoolboxPhotos",
    "Frame",
    "ImageListData",
    "ImageNetData",
    "MaskFolderData",
    "MaskShardData",
    "Native",
    "PadToSquare",
    "PaddedCrop",
    "Reading",
    "ResizedCrop",
    "SaliencyFolderData",
    "SalientObjectData",
    "SampleSet",
    "ScaledCrop",
    "ShapesData",
    "ShardData",
    "Stretch",
    "TinyImageNetData",
    "TracerAugmentation",
    "VOCData",
]
