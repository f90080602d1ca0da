"""TRACER: a network for salient object detection (Lee, Shin & Han, AAAI 2022)."""

from project.saliency.tracer.network import TracerNetwork, TracerOutput, TracerVariant
from project.saliency.tracer.provider import TRACER

__all__ = ["TRACER", "TracerNetwork", "TracerOutput", "TracerVariant"]
